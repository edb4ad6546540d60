"""Jinja's sandbox with a bound on what one rendering may do: loops, texts, numbers.

Jinja itself bounds only ``range``. Here everything that takes time or makes text counts: a turn of
a loop, what is called, filtered or tested, what is compared or looked up, joined and written.
"""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

STEPS = 1_000_000  # of one rendering: half a second at the most; a plain template takes ten
CHARACTERS = 16  # of a text that are one step, so 16 million may be written
LARGEST = 10_000  # a number that a function is given: a width, a count
_BITS = 4_096  # of a number
_WIDTH = re.compile(r"\d{5,}|\*|\{[^{}]*\{")  # in a format: wide, or as wide as a value says
_GROWING = (
    *("replace", "do_replace", "join", "do_join", "indent", "do_indent", "do_wordwrap"),
    *("translate", "expandtabs"),
)


class Bounded(ImmutableSandboxedEnvironment):
    """An environment whose templates stop with a TemplateError where they do too much."""

    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            loader=None,
            finalize=self.counted,
            optimized=False,  # or constants would be computed while the template is read
        )
        self.filters = {name: self._guarded(each) for name, each in self.filters.items()}
        self.tests = {name: self._guarded(each) for name, each in self.tests.items()}  # type: ignore[arg-type]
        self._left = STEPS
        self._turn = 1

    def bounded(self, text: str) -> nodes.Template:
        """The parsed text, in which loops and joins count. Raises TemplateError."""
        self._turn = 1 + len(text) // CHARACTERS  # a turn may write all of it
        made: nodes.Template = _Counting().visit(self.parse(text))
        made.set_environment(self)
        return made

    def begin(self) -> None:
        """Gives the next rendering all its steps."""
        self._left = STEPS

    def turn(self) -> None:
        """Counts one turn of a loop, or one call of a macro."""
        self._spend(self._turn)

    def joined(self, *parts: Any) -> str:
        """What ``~`` makes."""
        self.counted(parts)
        return "".join(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """What an operator makes."""
        self.counted((left, right))
        if operator == "%" and isinstance(left, str):
            self._narrow(left)
        elif isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * (right if operator == "**" else 1)
            if bits + (0 if operator == "**" else right.bit_length()) > _BITS:
                raise _too_much()
        elif operator == "*":
            times = next((each for each in (left, right) if isinstance(each, int)), 1)
            self._spend(max(times, 0) * (1 + sum(_size(each) for each in (left, right))))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """What a function, a macro or a method makes."""
        method = getattr(__obj, "__wrapped__", __obj)  # of a text, format is wrapped
        owner = getattr(method, "__self__", None)
        first = (owner,) if isinstance(owner, (str, list, tuple, dict)) else ()
        __self._check(getattr(__obj, "__name__", ""), (*first, *args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self._check(function.__name__, (*args, *kwargs.values()))
            return function(*args, **kwargs)

        return run

    def _check(self, name: str, values: tuple[Any, ...]) -> None:
        """Spends what a call may take; refuses numbers that make texts wide."""
        plain = [each for each in values if isinstance(each, (str, int, float, list, tuple, dict))]
        self.counted(plain)
        if name != "range" and any(isinstance(each, int) and each > LARGEST for each in plain):
            raise _too_much()
        if "format" in name and plain and isinstance(plain[0], str):
            self._narrow(plain[0])
        if name in _GROWING and plain:
            most = max(map(_grows, plain[1:]), default=0)
            self._spend((1 + _size(plain[0])) * (1 + most) // CHARACTERS)

    def _narrow(self, form: str) -> None:
        if _WIDTH.search(form):
            raise _too_much()

    def counted(self, value: Any) -> Any:
        """The value, once all its texts, lists within lists included, have been paid for."""
        pending = [value]
        while pending:
            each = pending.pop()
            self._spend(1 + (_size(each) // CHARACTERS if isinstance(each, str) else 0))
            if isinstance(each, Mapping):
                pending += [*each.keys(), *each.values()]
            elif isinstance(each, (list, tuple, set)):
                pending += each
            elif isinstance(each, range):
                self._spend(len(each))
        return value

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _too_much()


class _Counting(NodeTransformer):
    """Makes loops and macros count their turns, ``~`` what it joins, ``==`` what it compares."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        return self._counting(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._counting(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._counting(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _called("joined", node.nodes).set_lineno(node.lineno)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _counted(node.expr)
        for operand in node.ops:
            operand.expr = _counted(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        node.key = _counted(node.key)  # a key is hashed, and all that is in it
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, (nodes.Slice, nodes.Const)):
            node.arg = _counted(node.arg)
        return node

    def _counting(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_called("turn", [])).set_lineno(node.lineno))
        made: nodes.Node = node
        return made


def _counted(node: nodes.Expr) -> nodes.Call:
    made = _called("counted", [node])
    made.set_lineno(node.lineno)
    return made


def _called(name: str, args: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), args, [], None, None)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, dict, range)) else 0


def _grows(value: Any) -> int:
    """The most characters that may stand in place of each one of a text."""
    if isinstance(value, dict):
        return max(map(_size, value.values()), default=0)
    return value if isinstance(value, int) else _size(value)


def _too_much() -> TemplateRuntimeError:
    return TemplateRuntimeError(
        "does too much for one question: loops, numbers or texts without bounds; make it plainer"
    )
