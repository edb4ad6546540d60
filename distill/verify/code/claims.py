"""Decides from plain values whether one assert about a program's results holds.

It knows a few forms: comparisons, ``not``, ``and``, ``or``, sums and quotients, and bounded pure
functions. Any other assert raises ``NotPlain`` and is run by a tester.
"""

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distill.verify.code.bounded import FUNCTIONS, ONE_ARGUMENT, TooLarge
from distill.verify.code.source import shown
from distill.verify.code.unsupported import same_object

Found = Sequence[object]  # what the calls returned, in order
Value = Callable[[Found], object]

TYPES: dict[str, type] = {
    one.__name__: one for one in (bool, complex, dict, float, frozenset, int, list, set, str, tuple)
}
_COMPARED: dict[type[ast.cmpop], Callable[[object, object], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,  # type: ignore[dict-item]
    ast.LtE: operator.le,  # type: ignore[dict-item]
    ast.Gt: operator.gt,  # type: ignore[dict-item]
    ast.GtE: operator.ge,  # type: ignore[dict-item]
    ast.In: lambda a, b: a in b,  # type: ignore[operator]
    ast.NotIn: lambda a, b: a not in b,  # type: ignore[operator]
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_COMPUTED: dict[type[ast.operator], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_ALWAYS = (ast.Add, ast.Sub, ast.Div)  # their results stay short, whatever a program returned
LONGEST = 100_000  # bits, characters or items that two constants of a test may produce
# Results that no test should accept all of: a claim that holds for each of them tests nothing.
NONSENSE: tuple[object, ...] = (None, "\0", -98_765_432.1, [], {"\0": None}, True)


class NotPlain(Exception):
    """An assert of a form that cannot be decided here."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One assert."""

    test: ast.expr
    calls: tuple[ast.Call, ...]
    holds: Value

    def text(self) -> str:
        """As source; made only when it is shown, which is rare."""
        return shown(self.test)

    def met(self, found: Found) -> bool:
        """Whether it holds; what cannot be computed, as in ``abs(None - 1)``, does not.

        Raises:
            TooLarge: it takes too much work to compute.
        """
        try:
            return bool(self.holds(found))
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError):
            return False

    def means_something(self) -> bool:
        """Whether it could fail: it is about a call, and does not hold for any result at all."""
        if not self.calls:
            return False
        return not all(self._met_by(one) for one in NONSENSE)

    def _met_by(self, one: object) -> bool:
        try:
            return self.met([one] * len(self.calls))
        except TooLarge:
            return False


def claim(statement: ast.Assert, entries: frozenset[str]) -> Claim:
    """The claim of an assert about calls of one function, under any of its names.

    Raises:
        NotPlain: it has a form that cannot be decided here.
    """
    reader = _Reader(entries)
    holds = reader.value(statement.test)
    return Claim(statement.test, tuple(reader.calls), holds)


class _Reader:
    def __init__(self, entries: frozenset[str]) -> None:
        self.entries = entries
        self.calls: list[ast.Call] = []

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in self.entries:
                return self._of_call(node)
            case ast.Call():
                return self._of_function(node)
            case ast.Compare():
                return self._of_comparison(node)
            case ast.BinOp():
                return self._of_arithmetic(node)
            case ast.BoolOp(values=values):
                parts = [self.value(one) for one in values]
                return _joined(parts, until=isinstance(node.op, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.value(operand)
                return lambda found: not inner(found)
            case ast.Name(id=name) if name in TYPES:
                kind = TYPES[name]
                return lambda _: kind
        return self._of_literal(node)

    def _of_call(self, node: ast.Call) -> Value:
        place = len(self.calls)
        self.calls.append(node)
        return lambda found: found[place]

    def _of_function(self, node: ast.Call) -> Value:
        name = shown(node.func)
        function = FUNCTIONS.get(name)
        named = {one.arg: self.value(one.value) for one in node.keywords if one.arg}
        if function is None or len(named) < len(node.keywords):
            raise NotPlain(name)
        if (name in ONE_ARGUMENT and (named or len(node.args) != 1)) or "key" in named:
            raise NotPlain(name)
        parts = [self.value(one) for one in node.args]
        return lambda found: function(
            *[part(found) for part in parts], **{key: part(found) for key, part in named.items()}
        )

    def _of_comparison(self, node: ast.Compare) -> Value:
        sides = [self.value(one) for one in (node.left, *node.comparators)]
        kinds = [type(one) for one in node.ops]
        if same_object(node):
            raise NotPlain(shown(node))  # the two objects are in another process
        steps = list(zip([_COMPARED[kind] for kind in kinds], sides, sides[1:], strict=False))
        return lambda found: all(hold(a(found), b(found)) for hold, a, b in steps)

    def _of_arithmetic(self, node: ast.BinOp) -> Value:
        compute, before = _COMPUTED.get(type(node.op)), len(self.calls)
        if compute is None:
            raise NotPlain(shown(node))
        left, right = self.value(node.left), self.value(node.right)
        if len(self.calls) == before:
            return _constant(compute, left(()), right(()), node)
        if not isinstance(node.op, _ALWAYS):
            raise NotPlain(shown(node))
        return lambda found: compute(left(found), right(found))

    def _of_literal(self, node: ast.expr) -> Value:
        try:
            fixed = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return self._of_display(node)
        return lambda _: fixed

    def _of_display(self, node: ast.expr) -> Value:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set | ast.UnaryOp):
            raise NotPlain(type(node).__name__)
        if isinstance(node, ast.UnaryOp):
            if not isinstance(node.op, ast.USub):
                raise NotPlain(type(node.op).__name__)
            inner = self.value(node.operand)
            return lambda found: -inner(found)  # type: ignore[operator]
        make = {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)]
        parts = [self.value(one) for one in node.elts]
        return lambda found: make([part(found) for part in parts])


def _joined(parts: Sequence[Value], *, until: bool) -> Value:
    """``or`` (stops at the first that is true) and ``and``: the value of the last one computed."""

    def result(found: Found) -> object:
        value: object = not until
        for part in parts:
            value = part(found)
            if bool(value) is until:
                break
        return value

    return result


def _constant(
    compute: Callable[..., object], left: object, right: object, node: ast.BinOp
) -> Value:
    """The result of an operation on two constants.

    Raises:
        NotPlain: there is none, or it is too long.
    """
    try:
        if _length(left, right, node.op) > LONGEST:
            raise NotPlain(shown(node))
        fixed = compute(left, right)
    except (TypeError, ValueError, ArithmeticError):
        raise NotPlain(shown(node)) from None
    return lambda _: fixed


def _length(left: Any, right: Any, operator_: ast.operator) -> int:
    """A bound on the size of the result."""
    sizes = [
        one.bit_length() if isinstance(one, int) else 64 if isinstance(one, float) else len(one)
        for one in (left, right)
    ]
    if isinstance(operator_, ast.Pow):
        return int(sizes[0] * max(1, right))
    if isinstance(operator_, ast.Mult) and not isinstance(left, int | float):
        return int(sizes[0] * right)
    if isinstance(operator_, ast.Mult) and not isinstance(right, int | float):
        return int(sizes[1] * left)
    return LONGEST + 1 if isinstance(left, str) and isinstance(operator_, ast.Mod) else sum(sizes)
