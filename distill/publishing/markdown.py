"""Writes Markdown from untrusted values: cells, tables, code."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

# Written as entities, these are always text (CommonMark 6: an entity is never structure). Otherwise
# they would end a cell, or start a tag, a link, an image, code or emphasis.
_STRUCTURE = str.maketrans({c: f"&#{ord(c)};" for c in "|<>&[]`*\\$"})
# OWASP, CSV injection: with these a spreadsheet takes a pasted cell for a formula.
_FORMULA = ("=", "+", "-", "@")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def cell(value: object) -> str:
    """A value as one table cell: numbers readable, text inert.

    >>> cell(1234567), cell(0.25), cell(None), cell("a|b")
    ('1,234,567', '0.25', '', 'a&#124;b')
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = _BLANK.sub(" ", str(value)).strip()
        return ("'" if text.startswith(_FORMULA) else "") + text.translate(_STRUCTURE)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table; every column after the first is aligned right if its values are numbers."""
    body = [list(line) for line in lines]
    numeric = [
        bool(body) and all(isinstance(line[i], (int, float)) for line in body)
        for i in range(len(head))
    ]
    rule = ["---:" if right else "---" for right in numeric]
    rows = [list(map(cell, head)), rule, *(list(map(cell, line)) for line in body)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def code(language: str, text: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def as_yaml(values: Mapping[str, Any]) -> str:
    """JSON values as YAML, keys in the order given."""
    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=100))


def front_matter(values: Mapping[str, Any]) -> str:
    """The block of metadata that a card starts with."""
    return f"---\n{as_yaml(values)}---"


def page(*parts: str) -> str:
    """The parts that are not empty, with blank lines between them."""
    return "\n\n".join(part for part in parts if part) + "\n"


def recipe(values: Any) -> tuple[str, ...]:
    """The section with a recipe; none if there is no recipe."""
    if not isinstance(values, Mapping) or not values:
        return ()
    return ("## Recipe", code("yaml", as_yaml(values)))


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of nested JSON values; lists as text.

    >>> flat({"lora": {"r": 8}, "base": "x"})
    [('lora.r', 8), ('base', 'x')]
    """
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            found += flat(value, f"{name}.")
        else:
            found.append((name, ", ".join(map(str, value)) if isinstance(value, list) else value))
    return found
