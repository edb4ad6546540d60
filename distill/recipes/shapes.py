"""Shapes of values that a recipe may pass on to a library or a server.

A shape is a function that says what a value must be, or None if it fits. Most texts have to be
plain words, which cannot be a path, an address, an expression or a class to import.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], str | None]
# Begins with a letter or digit and has no slash: neither a path nor a repository of the Hub.
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")
# Names of modules, and patterns for them as peft and transformers take them. Not every regular
# expression is allowed: one such as (a+)+ takes forever, and nothing interrupts it.
PATTERN = re.compile(r"(?:[A-Za-z0-9_|()^$-]|\\?\.(?![*+])|\.\*|\\d\+?){1,200}")
MOST_STARS = 3
LONGEST = 1024  # items of a list, and characters of a text


def number(value: Any) -> str | None:
    """An int or float that is finite; no bool."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return None if fits else "a number"


def whole(value: Any) -> str | None:
    """An int; no bool."""
    return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


def switch(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "true or false"


def word(value: Any) -> str | None:
    """A name without slashes, spaces or brackets."""
    fits = isinstance(value, str) and WORD.fullmatch(value)
    return None if fits else "a plain word (letters, digits, _ . : + -)"


def text(value: Any) -> str | None:
    """Any text of a sensible length, for keys whose value is only shown or compared."""
    return None if isinstance(value, str) and len(value) <= LONGEST else "a short text"


def pattern(value: Any) -> str | None:
    """The name of a module, or a simple pattern for such names."""
    fits = isinstance(value, str) and PATTERN.fullmatch(value) and value.count("*") <= MOST_STARS
    # repeated groups are what makes a pattern slow
    fits = fits and not re.search(r"\(\)|\)[*+?{]", value)
    return None if fits else r"a module's name, or a pattern of names with | () \. \d+ .* only"


def one_of(*allowed: object) -> Shape:
    """Exactly one of these values."""
    listed = ", ".join(map(str, allowed))

    def check(value: Any) -> str | None:
        # by type too: 1 equals True
        fits = any(type(value) is type(one) and value == one for one in allowed)
        return None if fits else f"one of {listed}"

    return check


def either(*shapes: Shape) -> Shape:
    """A value that any of the shapes allows."""

    def check(value: Any) -> str | None:
        said = [shape(value) for shape in shapes]
        return None if None in said else " or ".join(filter(None, said))

    return check


def many(shape: Shape) -> Shape:
    """A list of such values."""

    def check(value: Any) -> str | None:
        if not isinstance(value, (list, tuple)) or len(value) > LONGEST:
            return f"a list, each item {shape(None)}"
        return next((f"a list, each item {said}" for one in value if (said := shape(one))), None)

    return check


def table(key: Shape, value: Shape) -> Shape:
    """A mapping with any keys and values of these shapes."""

    def check(found: Any) -> str | None:
        if not isinstance(found, Mapping) or len(found) > LONGEST:
            return "a mapping"
        for name, inner in found.items():
            if said := key(name) or value(inner):
                return f"a mapping; {name!r:.40} must be {said}"
        return None

    return check


def block(**shapes: Shape) -> Shape:
    """A mapping with only these keys."""

    def check(value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return f"a mapping with {', '.join(shapes)}"
        for name, inner in value.items():
            if name not in shapes:
                return f"a mapping with {', '.join(shapes)} only; {name!r:.40} may not be safe"
            if inner is not None and (said := shapes[name](inner)):
                return f"a mapping; its {name} must be {said}"
        return None

    return check
