"""Reads Python source written by a model or a data set as a syntax tree."""

import ast
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator

LONGEST = 200_000  # characters; HumanEval's longest solution has 1,500, contest programs few more
_ONE_AT_A_TIME = threading.Lock()  # warning filters are shared by the whole process
_BLOCKS = (ast.If, ast.Try, ast.With)
Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def tree(source: str) -> ast.Module | None:
    """The syntax tree; None if it is not Python, or too long or too deep to parse."""
    if len(source) > LONGEST:
        return None
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a program is not our mistake
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def acts(module: ast.Module) -> bool:
    """Whether it does anything: a block of numbers or words is Python too."""
    return any(
        not isinstance(node, ast.Expr) or any(isinstance(one, ast.Call) for one in ast.walk(node))
        for node in module.body
    )


def names(module: ast.Module) -> set[str]:
    """The names that a program binds at its top level, including within if, try and with."""
    return {name for statement in _flat(module.body) for name in _bound(statement)}


def foreign(module: ast.Module) -> list[str]:
    """The top-level modules that it imports anywhere and that do not come with Python."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return sorted(found - sys.stdlib_module_names)


def free_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that the nodes read and none of them binds."""
    found = [node for one in nodes for node in ast.walk(one)]
    read = {n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    stored = {n.id for n in found if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    stored |= {n.arg for n in found if isinstance(n, ast.arg)}
    stored |= {n.name for n in found if isinstance(n, Defined)}
    return read - stored - {name for n in found for name in _imported(n)}


def of_solution(module: ast.Module) -> list[str]:
    """The names that tests import from the program, which is called ``solution``."""
    return [name for node in module.body if _is_solution(node) for name in _imported(node)]


def without_imports(module: ast.Module) -> ast.Module:
    """The same tests without the imports of ``solution``."""
    body = [node for node in module.body if not _is_solution(node)]
    return ast.Module(body, [])


def _is_solution(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "solution"


def surrounding_code(prompt: str, name: str) -> str:
    """The rest of a problem's code, without the function or class of that name.

    The code may end within that function. Empty if the prompt is text rather than code, including
    words that happen to be Python, such as ``Sort``.
    """
    whole = prompt + "\n    pass\n" if tree(prompt) is None else prompt
    module = tree(whole)
    if module is None:
        return ""
    lines = _lines(whole)
    for node in module.body:
        if (isinstance(node, Defined) and node.name == name) or _is_words(node):
            decorators = node.decorator_list if isinstance(node, Defined) else []
            first = min([node.lineno, *(one.lineno for one in decorators)])
            for number in range(first - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)


def _is_words(node: ast.stmt) -> bool:
    """Whether it is an expression without effect; calls may have one."""
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call | ast.Constant)


def shown(node: ast.AST) -> str:
    """The node as source, for people; Python refuses to write numbers of over 4,300 digits."""
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError):
        return f"a test that cannot be shown ({type(node).__name__})"


def joined(*sources: str) -> str:
    """The sources one after the other, with ``from __future__`` imports moved to the top."""
    future, rest = [], []
    for source in sources:
        if "__future__" not in source:
            rest.append(source)
            continue
        lines = _lines(source)
        module = tree(source)
        for node in module.body if module else ():
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                future.append(ast.unparse(node))
                for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                    lines[number] = ""
        rest += lines
    return "\n".join([*dict.fromkeys(future), *rest]) + "\n"


def _lines(source: str) -> list[str]:
    """Lines as the parser counts them: a form feed does not end one."""
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    waiting = list(body)[::-1]
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, _BLOCKS):
            parts = [getattr(statement, part, []) for part in ("body", "orelse", "finalbody")]
            parts += [handler.body for handler in getattr(statement, "handlers", [])]
            waiting += [one for part in parts for one in part]


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, Defined):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
    yield from _imported(statement)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]
