r"""Reads a small formula as a tree, and refuses what can be read in two ways.

Refused, for example: ``1/2x`` (half of x, or one over 2x), ``2\frac{1}{3}`` (a mixed number, or a
product), words, units, bases, primes: anything whose meaning is not certain.
"""

import re
from dataclasses import dataclass

from distill.verify.math.notations import with_choices
from distill.verify.math.phrases import is_product
from distill.verify.math.rational import may_be_euler

LONGEST = 512  # characters; nobody writes a longer formula as an answer
DEEPEST = 50  # brackets within brackets
_TOKEN = re.compile(r"\\[a-zA-Z]+|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[A-Za-z]+|[-+*/^_(){}\[\]|!]|\S")
_GREEK = re.compile(
    r"\\(?:alpha|beta|gamma|[dD]elta|(?:var)?epsilon|theta|lambda|mu|nu|rho|sigma|tau"
    r"|(?:var)?phi|[oO]mega)"
)
_FUNCTIONS = {
    **{rf"\{name}": name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "ln", "log")},
    **{rf"\{name}": name for name in ("exp", "sinh", "cosh", "tanh")},
    **{name: name for name in ("sin", "cos", "tan", "ln", "log", "cis", "exp")},
    **{f"{mark}arc{name}": f"a{name}" for mark in ("", "\\") for name in ("sin", "cos", "tan")},
    r"\cis": "cis",
    **dict.fromkeys((r"\lg", "lg"), "lg"),
}
_INVERSE = {"sin": "asin", "cos": "acos", "tan": "atan"}  # \sin^{-1}
_TIMES = frozenset(("*", r"\cdot", r"\times"))
_OVER = frozenset(("/", r"\div"))
_CLOSING = {"(": ")", "{": "}"}
# Letters that stand before a bracket as functions more often than as factors.
_APPLIED = frozenset("fghFGHPQTW")


@dataclass(frozen=True, slots=True)
class Node:
    """A number, symbol or constant (``value``), or an operation on other nodes."""

    kind: str  # number, symbol, constant, add, neg, mul, div, pow, abs, root, log, factorial, sin…
    args: "tuple[Node, ...]" = ()
    value: str = ""


_MINUS_ONE = Node("neg", (Node("number", (), "1"),))


class Refused(ValueError):
    """The text is not a formula, or has two readings."""


def parse(text: str) -> Node | None:
    r"""The tree of a (plain) formula; None if the text is not a formula, too large, or ambiguous.

    >>> parse("2x").kind, parse("1/2x"), parse("odd")
    ('mul', None, None)
    """
    wordy = len(text) > 1 and text.isalpha()  # a word, or letters in order
    if len(text) > LONGEST or wordy or may_be_euler(text):
        return None
    reader = _Reader(_TOKEN.findall(with_choices(text)))
    try:
        tree = reader.sum()
    except Refused:
        return None
    return tree if reader.at_end() else None


def symbols(tree: Node) -> frozenset[str]:
    """The names of its free symbols."""
    if tree.kind == "symbol":
        return frozenset((tree.value,))
    return frozenset().union(*map(symbols, tree.args))


def _double_factorial(base: Node) -> Node:
    r"""6!! = 6 \cdot 4 \cdot 2, of a written number; somebody may mean (6!)!."""
    if base.kind != "number" or len(base.value) > 4 or (n := int(base.value)) > 3_000:
        raise Refused
    half = n // 2
    number = {x: Node("number", (), str(x)) for x in (2, half, n)}
    even = Node("mul", (Node("pow", (number[2], number[half])), Node("factorial", (number[half],))))
    whole = Node("factorial", (number[n],))
    return Node("doubtful", (Node("div", (whole, even)) if n % 2 else even,))


class _Reader:
    """Recursive descent over the tokens; every method reads one thing and advances."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def at_end(self) -> bool:
        return self.at >= len(self.tokens)

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise Refused

    def sum(self) -> Node:
        left = self.product()
        while self.peek() in ("+", "-"):
            sign, right = self.take(), self.product()
            left = Node("add", (left, right if sign == "+" else Node("neg", (right,))))
        return left

    def product(self) -> Node:
        if self.peek() in ("-", "+"):
            sign, inner = self.take(), self.product()
            return Node("neg", (inner,)) if sign == "-" else inner
        left, divided = self.power(), False
        while True:
            token = self.peek()
            if token in _TIMES or token in _OVER:
                over = self.take() in _OVER
                if token == r"\times":
                    self.refuse_sets(left)
                right = self.signed_power()
                left, divided = Node("div" if over else "mul", (left, right)), over
            elif self.starts_factor(token):
                mixed = left.kind in ("number", "decimal") and token == r"\frac"
                digits = token[0] in ".0123456789" and self.tokens[self.at - 1] != "!"
                if divided or mixed or digits:
                    raise Refused
                self.refuse_sets(left)
                left = Node("mul", (left, self.power()))
            else:
                return left

    def refuse_sets(self, left: Node) -> None:
        r"""Sets, matrices and vectors do not commute: A B, A \times B, v \times w."""
        ours, theirs = left.value * (left.kind == "symbol"), self.peek()
        crossed = self.tokens[self.at - 1] == r"\times" and theirs.isalpha()
        if ours and (crossed or (ours.isupper() and theirs.isupper())):
            raise Refused

    def signed_power(self) -> Node:
        if self.peek() == "-":
            self.take()
            return Node("neg", (self.power(),))
        return self.power()

    def starts_factor(self, token: str) -> bool:
        if token == "|":
            return self.bars == 0
        return bool(token) and (token[0].isalnum() or token[0] in "\\({.") and token not in _TIMES

    def power(self) -> Node:
        base = self.base()
        if self.peek() == "!":
            self.take()
            twice = self.peek() == "!"
            base = _double_factorial(base) if twice else Node("factorial", (base,))
            self.at += twice
            if twice and self.peek() == "!":
                raise Refused
        if self.peek() == "^":
            self.take()
            marked = self.tokens[self.at : self.at + 2] == ["{", "("]
            if base.kind == "symbol" and marked and self.tokens[self.at + 3 :][:2] == [")", "}"]:
                raise Refused  # the n-th derivative
            base = Node("pow", (base, self.argument()))
            if self.peek() in ("^", "!"):
                raise Refused
        if self.peek() == "°":
            self.take()
            base = Node("mul", (base, Node("constant", (), "°")))
        return base

    def base(self) -> Node:
        token = self.take()
        if not token or not token.isascii():
            raise Refused
        if token[0] in ".0123456789":
            if self.peek() == "_":
                raise Refused
            return Node("decimal" if "." in token else "number", (), token)
        if token in _CLOSING:
            return self.group(_CLOSING[token])
        if token == "|":
            self.bars += 1
            inner = self.group("|")
            self.bars -= 1
            return Node("abs", (inner,))
        return self.named(token)

    def group(self, closing: str) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Refused
        inner = self.sum()
        self.expect(closing)
        self.depth -= 1
        return inner

    def named(self, token: str) -> Node:
        if token == r"\frac":
            return Node("div", (self.argument(), self.argument()))
        if token in (r"\binom", r"\perm"):
            return self.choices(token[1:])
        if token in (r"\sqrt", "sqrt"):
            return self.root()
        if token in _FUNCTIONS:
            return self.function(_FUNCTIONS[token])
        if token in (r"\pi", "pi"):
            return Node("constant", (), "pi")
        if _GREEK.fullmatch(token) or (len(token) == 1 and token.isalpha()):
            return self.symbol(token)
        if is_product(token):
            self.at -= 1
            self.tokens[self.at : self.at + 1] = list(token)
            return self.base()
        raise Refused

    def choices(self, name: str) -> Node:
        doubtful = self.peek() == "?"
        if doubtful:  # C_8^3 may be a cube
            self.take()
        tree = Node(name, (self.argument(), self.argument()))
        return Node("doubtful", (tree,)) if doubtful else tree

    def symbol(self, name: str) -> Node:
        if self.peek() == "_":
            self.take()
            index, sums = self.take(), ""
            if index == "{":
                index = self.take()
                while self.peek() in ("+", "-") or self.peek().isalnum():
                    sums += self.take()
                self.expect("}")
            if not index.isalnum():
                raise Refused
            tree = Node("symbol", (), f"{name}_{index}{sums}")
            return Node("doubtful", (tree,)) if sums else tree  # the rules of F_{n+1} are unknown
        if name in _APPLIED and self.peek() == "(":
            raise Refused
        return Node("constant" if name in ("e", "i") else "symbol", (), name)

    def argument(self) -> Node:
        """The argument of a command or ``^``: a group in braces, one digit, letter or command."""
        token = self.peek()
        if token == "{":
            self.take()
            return self.group("}")
        if token and token[0].isdigit() and len(token) > 1:  # \frac12, x^23: one digit each
            if "." in token:
                raise Refused
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        elif token.isalpha() and len(token) > 1:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        elif not token or token in ("|", "-", "+"):
            raise Refused
        return self.base()

    def root(self) -> Node:
        index = Node("number", (), "2")
        if self.peek() == "[":
            self.take()
            index = Node("number", (), self.take())
            if not index.value.isdecimal() or not 2 <= int(index.value[:3]) <= 20:
                raise Refused
            self.expect("]")
        inner = self.base() if self.peek() == "(" else self.argument()
        return Node("root", (inner, index))

    def function(self, name: str) -> Node:
        args: list[Node] = []
        if name == "log" and self.peek() == "_":
            self.take()
            args.append(self.argument())
        power = None
        if self.peek() == "^":
            self.take()
            power = self.argument()
            if power == _MINUS_ONE and name in _INVERSE:
                name, power = _INVERSE[name], None
            elif power.kind != "number":
                raise Refused
        inner = self.of()
        if name == "lg":  # to the base 10, or to the base 2
            tree = Node("doubtful", (Node("log", (inner, Node("number", (), "10"))),))
        else:
            tree = Node(name, (inner, *args))
        return tree if power is None else Node("pow", (tree, power))

    def of(self) -> Node:
        """A function's argument: a group, or numbers and letters up to the next operator."""
        if self.peek() in _CLOSING:
            inner = self.base()
            if self.peek() == "^":
                raise Refused
            return inner
        if self.peek() == "-":
            raise Refused
        inner = self.power()
        while self.peek()[:1].isalnum() or self.peek() == r"\pi" or _GREEK.fullmatch(self.peek()):
            if inner.kind == "number" and self.peek()[0].isdigit():
                raise Refused
            inner = Node("mul", (inner, self.power()))
        if self.peek() in ("(", "{", "/", "|", r"\frac", r"\sqrt"):
            raise Refused
        return inner
