"""Points in other notations: letters with their values, a matrix of one row or column."""

from dataclasses import replace

from distill.verify.math.latex import canonical
from distill.verify.math.values import Listed, Named, Value, is_name


def letters(value: Value) -> list[str]:
    """The letters of (x, y) = (1, 2)."""
    if not isinstance(value, Named) or value.name[:1] != "(" or not isinstance(value.value, Listed):
        return []
    names = value.name[1:-1].split(",")
    fits = value.value.brackets == "()" and len(names) == len(value.value.items)
    return names if fits and not any(isinstance(x, Listed) for x in value.value.items) else []


def chain(value: Value) -> Listed | None:
    """The list of k = 3 and m = 3 for k = m = 3."""
    if not isinstance(value, Named):
        return None
    names = [name.strip() for name in value.plain.split("=")[:-1]]
    if len(names) < 2 or not all(map(is_name, names)):
        return None
    items = tuple(Named(canonical(name), value.value) for name in names)
    return Listed("", items, canonical(value.plain))


def spread(value: Value) -> Value:
    r"""``x = 1, y = 2`` for ``(x, y) = (1, 2)``."""
    if not isinstance(value, Named) or not isinstance(value.value, Listed):
        return value
    items = tuple(map(Named, letters(value), value.value.items))
    return replace(value.value, brackets="", items=items)


def flat(value: Listed) -> bool:
    """Whether it is a matrix of one row, or of one column."""
    rows = [row for row in value.items if isinstance(row, Listed)]
    return value.brackets == "matrix" and (len(rows) == 1 or {len(x.items) for x in rows} == {1})


def point(value: Listed) -> Listed:
    """A row or a column as a point."""
    if not flat(value):
        return value
    items = tuple(x for row in value.items if isinstance(row, Listed) for x in row.items)
    return Listed("()", items, value.text, value.plain)
