"""Finds tests that only a program in their own process could pass.

Arguments and results travel as copies, and what a program prints or changes stays in its jail. A
test of these would test us, not the program.
"""

import ast
import builtins
from collections.abc import Sequence

from distill.verify.code.source import tree

_IDENTITY = frozenset({"id", "is_", "is_not", "assertIs", "assertIsNot"})
_EFFECTS = frozenset({
    "stdin", "stdout", "stderr", "redirect_stdout", "redirect_stderr", "patch", "monkeypatch",
    "environ", "open", "getsource", "signature", "cache_info", "__doc__", "__annotations__",
})  # fmt: skip


def unsupported(tests: Sequence[ast.Module], setup: str) -> str:
    """``same_object`` or ``side_effects``, the first that tests or their setup check; else ""."""
    module = tree(setup) or ast.Module([], [])
    if any(map(same_object, (*tests, module))):
        return "same_object"
    found = (node for one in (*tests, module) for node in ast.walk(one))
    return "side_effects" if any(_name(node) in _EFFECTS for node in found) else ""


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def same_object(node: ast.AST) -> bool:
    """Whether it compares identities anywhere, other than with singletons such as None.

    What travels between two processes is always a copy, so the result would say nothing.
    """
    return any(_asks_identity(one) for one in ast.walk(node))


def _asks_identity(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _name(node.func) in _IDENTITY
    if not isinstance(node, ast.Compare):
        return False
    sides = (node.left, *node.comparators)
    return any(
        isinstance(one, ast.Is | ast.IsNot) and not (_is_single(a) or _is_single(b))
        for one, a, b in zip(node.ops, sides, sides[1:], strict=False)
    )


def _is_single(node: ast.expr) -> bool:
    """Whether it is a singleton in every process: None, True, False, ... or a type."""
    match node:
        case ast.Constant(value=value):
            return value is None or value is ... or type(value) is bool
        case ast.Name(id=name):
            return isinstance(getattr(builtins, name, None), type)
        case ast.Call(func=ast.Name(id="type")) | ast.Attribute(attr="__class__"):
            return True
    return False
