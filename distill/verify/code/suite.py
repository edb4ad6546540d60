"""Turns a reference into tests: calls for the jail, and claims about results, checked outside.

The expected results stay on this side; the jail gets a program and arguments. An argument that is
not plain data (an object of the program's own class) is appended to the program as source.
"""

import ast
import builtins
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from distill.jail.inside.codec import encode
from distill.jail.program import Call
from distill.verify.code.bounded import FUNCTIONS
from distill.verify.code.claims import TYPES, Claim, Found, NotPlain, claim
from distill.verify.code.gold import Calls, Cases, Tests, read_gold
from distill.verify.code.source import (
    free_names,
    joined,
    names,
    of_solution,
    shown,
    surrounding_code,
    tree,
    without_imports,
)
from distill.verify.code.unsupported import unsupported

_ENTRY = "_distill_entry"  # the function in an argument's expression, before its own name is put in
THUNK = "_distill_call_{}"  # calls an argument's expression in the program's own namespace
# What sites that ask for a method import beforehand, as LiveCodeBench's and APPS' own testers do.
IMPORTED = """\
import math, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from typing import *
"""
KEPT = 256  # references: a problem's answers come together, and a contest's tests are megabytes
SHOWN = 120  # characters of a test that a verdict shows
STUB = "candidate"  # the function's name in a tester if its own is not an identifier


@dataclass(frozen=True, slots=True)
class Test:
    """Some calls, and whether what they return is right."""

    source: Callable[[], str]
    calls: tuple[Call, ...]
    met: Callable[[Found], bool]

    @property
    def text(self) -> str:
        """The beginning of its source."""
        return self.source()[:SHOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """All tests of a function."""

    entry: str  # as it is called: "f" or "Solution().f"
    prompt: str  # code that an answer may continue
    before: str  # the prompt's code beside the function, put before answers that do not continue it
    maybe_method: bool = False  # a method ``entry`` of a class Solution is right too
    after: str  # source that goes after the program
    tests: tuple[Test, ...]
    tester: str | None = None  # source with the tests that only a tester can run
    doubt: str = ""  # what these check that a program in another process cannot show
    reference: str | None = None

    @property
    def defines(self) -> str:
        """The name that a program has to define."""
        return self.entry.split("(", maxsplit=1)[0].split(".", maxsplit=1)[0]


@lru_cache(maxsize=KEPT)
def suite(gold: str) -> Suite | Cases | None:
    """The tests of a reference; None if none of them could fail."""
    found = read_gold(gold)
    if isinstance(found, Tests):
        try:
            return _of_asserts(found)
        except (RecursionError, ValueError):  # sums of a thousand terms, numbers of 5,000 digits
            return None
    if isinstance(found, Calls):
        return _of_values(found)
    if found and any(text.strip() for case in found.cases for text in case.accepted):
        return found
    return None


def _of_values(gold: Calls) -> Suite | None:
    try:
        tests = [
            Test(_shown(gold.entry, given), (_call(gold.entry, given, {}),), _equals(accepted))
            for given, accepted in gold.cases
        ]
    except (RecursionError, ValueError):  # CodecError is one
        return None
    return Suite(
        entry=gold.entry,
        prompt="",
        before=IMPORTED,
        maybe_method=True,
        after="",
        tests=tuple(tests),
        reference=gold.reference,
    )


def _shown(entry: str, given: Sequence[Any]) -> Callable[[], str]:
    return lambda: f"{entry}{tuple(given)!r}"


def _equals(accepted: Sequence[Any]) -> Callable[[Found], bool]:
    def met(found: Found) -> bool:
        try:
            value = _as_json(found[0])
        except ValueError:  # a number of 5,000 digits as a key, which cannot be written
            return False
        return any(value == one for one in accepted)

    return met


def _as_json(value: object) -> object:
    """As JSON would write it: without tuples, and with strings as keys."""
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, dict):
        texts = {_as_key(key): _as_json(one) for key, one in value.items()}
        if len(texts) < len(value):
            text = "two keys of the same text"
            raise ValueError(text)
        return texts
    return value


def _as_key(key: object) -> str:
    return json.dumps(key) if key is None or isinstance(key, bool) else str(key)


def _of_asserts(gold: Tests) -> Suite | None:
    read = [tree(source) for source in gold.sources]
    modules = [module for module in read if module is not None]
    known = names(tree(gold.setup) or ast.Module([], []))
    asked = [name for module in modules for name in of_solution(module)]
    modules = [without_imports(module) for module in modules]
    entry = gold.entry or next(iter(asked), None) or _entry(modules, known)
    if entry is None or None in read:
        return None
    maker, before, left = _Maker(entry), surrounding_code(gold.prompt, entry), list[ast.Module]()
    for module in modules:
        if not maker.take(module):
            left.append(module)
    if not maker.tests and not left:
        return None
    return Suite(
        entry=entry,
        prompt=gold.prompt,
        before=before,
        after="\n".join([gold.setup, *maker.thunks]).strip(),
        tests=tuple(maker.tests),
        tester=_tester([before, gold.setup], left, entry) if left else None,
        doubt=unsupported(left, gold.setup),
        reference=gold.reference,
    )


def _entry(modules: Sequence[ast.Module], known: set[str]) -> str | None:
    """The function that most asserts call (the outermost call counts)."""
    count = Counter(name for module in modules for name in _called(module, known))
    return count.most_common(1)[0][0] if count else None


def _called(module: ast.Module, known: set[str]) -> Iterator[str]:
    own = names(module) | known
    for node in module.body:
        if isinstance(node, ast.Assert):
            found = [
                one.func.id
                for one in ast.walk(node.test)  # outer ones first
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)
            ]
            theirs = [name for name in found if name not in own]
            plain = [name for name in theirs if name not in vars(builtins)]
            yield from (plain or theirs)[:1]


class _Maker:
    """Turns asserts into tests that are decided outside the jail, as far as possible."""

    def __init__(self, entry: str) -> None:
        self.entry = entry
        self.tests: list[Test] = []
        self.thunks: list[str] = []

    def take(self, module: ast.Module) -> bool:
        """Whether all of a module's tests could be taken; if not, none is."""
        body, entries = self._body(module)
        if body is None:
            return False
        before, own = len(self.thunks), names(module) | _stored(body)
        if own & (FUNCTIONS.keys() | TYPES.keys() | entries):  # it redefines abs, or the candidate
            return False
        try:
            claims = [claim(one, entries) for one in body if isinstance(one, ast.Assert)]
            found = [self._test(one, own, entries) for one in claims if one.means_something()]
        except (NotPlain, ValueError, RecursionError):  # CodecError is one
            del self.thunks[before:]
            return False
        self.tests += found
        return True

    def _body(self, module: ast.Module) -> tuple[list[ast.stmt] | None, frozenset[str]]:
        """The asserts, if there is little else, and the function's names in them."""
        check = next((n for n in module.body if _is_check(n)), None)
        others = [n for n in module.body if n is not check and not (check and self._checks(n))]
        if check is None:
            return (others if all(map(_harmless, others)) else None), frozenset({self.entry})
        assert isinstance(check, ast.FunctionDef)
        calm = all(_harmless(n) and not isinstance(n, ast.Assert) for n in others)
        whole = calm and all(map(_harmless, check.body))
        return (check.body if whole else None), frozenset({self.entry, check.args.args[0].arg})

    def _checks(self, node: ast.stmt) -> bool:
        """Whether it is ``check(f)``, which we do anyway."""
        return isinstance(node, ast.Expr) and shown(node.value) == f"check({self.entry})"

    def _test(self, one: Claim, own: set[str], entries: frozenset[str]) -> Test:
        calls = tuple(self._of(node, own, entries) for node in one.calls)
        return Test(one.text, calls, one.met)

    def _of(self, node: ast.Call, own: set[str], entries: frozenset[str]) -> Call:
        arguments = [*node.args, *(one.value for one in node.keywords)]
        if all(one.arg for one in node.keywords):
            try:
                given = [ast.literal_eval(one) for one in node.args]
                named = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
                return _call(self.entry, given, named)
            except ValueError:
                pass
        if free_names(arguments) & own:
            raise NotPlain(shown(node))
        name = THUNK.format(len(self.thunks))
        text = ast.unparse(_Renamed(entries).visit(deepcopy(node)))
        self.thunks.append(f"def {name}():\n    return {text.replace(_ENTRY, self.entry)}\n")
        return _call(name, [], {})


def _call(function: str, given: Sequence[Any], named: Mapping[str, Any]) -> Call:
    return Call(function, encode((list(given), dict(named))))


def _is_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "check" and bool(node.args.args)


def _harmless(node: ast.stmt) -> bool:
    """An assert, or a statement that cannot affect asserts about literal arguments."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant | ast.Name)
    return isinstance(node, ast.Assert | ast.Assign | ast.Import | ast.ImportFrom | ast.Pass)


def _stored(body: Sequence[ast.stmt]) -> set[str]:
    found = (node for statement in body for node in ast.walk(statement))
    return {n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _tester(before: Sequence[str], tests: Sequence[ast.Module], entry: str) -> str:
    """The tests with the code they need, after the imports that they take for granted."""
    trees = [*(module for part in before if (module := tree(part))), *tests]
    whole = [ast.unparse(_Named().visit(module)) for module in trees]
    missing = sorted((free_names(trees) & sys.stdlib_module_names) - {entry})
    called = [
        f"check({STUB if not entry.isidentifier() else entry})"
        for module in trees
        if any(map(_is_check, module.body))
    ]
    called += [f"{name}()" for module in trees for name in _own_tests(module)]
    return joined(*(f"import {name}" for name in missing), *whole, *called)


def _own_tests(module: ast.Module) -> list[str]:
    """Test functions as pytest has them, which the module itself does not call."""
    found = [one for one in module.body if isinstance(one, ast.FunctionDef)]
    return [one.name for one in found if one.name.startswith("test") and not one.args.args]


class _Renamed(ast.NodeTransformer):
    """Calls the function by one name: it may be an argument of its own call."""

    def __init__(self, entries: frozenset[str]) -> None:
        self.entries = entries

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(_ENTRY, ast.Load()) if node.id in self.entries else node


class _Named(ast.NodeTransformer):
    """Gives asserts their own source as their message."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        text = ast.Constant(shown(node.test)[:SHOWN])
        return ast.copy_location(ast.Assert(node.test, text), node)
