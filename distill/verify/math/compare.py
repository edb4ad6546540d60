"""Decides whether two answers are the same, if that can be done without a symbolic library."""

import re
from collections.abc import Iterable
from dataclasses import replace

from distill.verify.math import phrases
from distill.verify.math.notations import Based, Ratio, Residue
from distill.verify.math.points import chain, flat, letters, point, spread
from distill.verify.math.probe import constant
from distill.verify.math.rational import Number
from distill.verify.math.relations import equivalent, same_set
from distill.verify.math.renamed import renamed
from distill.verify.math.scalars import (
    UNKNOWN,
    Outcome,
    decimal_comma,
    formula_and_number,
    is_far,
    same_notations,
    same_numbers,
    same_texts,
)
from distill.verify.math.values import (
    Approximate,
    Listed,
    Named,
    Text,
    Value,
    read,
    understood,
)

MANY = 400  # pairs of elements that are compared; longer lists are only compared as a whole
_GROUPS = re.compile("[1-9][0-9]{0,2}(?: ?, ?[0-9]{3}){1,6}")
_RESULT = frozenset(("y", "f(x)"))  # names of what a function gives


def same(gold: Value, answer: Value) -> Outcome:
    """Whether they are equal, and how that was decided."""
    answer = renamed(answer, gold)
    if isinstance(gold, Number) and isinstance(answer, Number):
        return same_numbers(gold, answer)
    if isinstance(gold, Named) or isinstance(answer, Named):
        return _named(gold, answer)
    if isinstance(gold, Approximate) or isinstance(answer, Approximate):
        return _approximate(gold, answer)
    gold, answer = _both_signs(gold), _both_signs(answer)
    if isinstance(gold, Listed) and isinstance(answer, Listed):
        return _lists(gold, answer)
    if isinstance(gold, Based | Ratio | Residue) or isinstance(answer, Based | Ratio | Residue):
        return same_notations(gold, answer)
    if isinstance(gold, Text) and isinstance(answer, Text):
        return same_texts(gold, answer)
    if isinstance(gold, Number):
        return _against_number(gold, answer)
    if isinstance(answer, Number):
        return _number_against(gold, answer)
    return _list_or_text(gold, answer)


def _named(gold: Value, answer: Value) -> Outcome:
    """Compares what is named; another name leaves it open."""
    if isinstance(gold, Listed) and (several := chain(answer)):
        return same(gold, several)
    if isinstance(answer, Listed) and (several := chain(gold)):
        return same(several, answer)
    inner = [one.value if isinstance(one, Named) else one for one in (gold, answer)]
    wholes = [getattr(one, "plain", "") for one in (gold, answer)]
    if isinstance(gold, Named) and isinstance(answer, Named):
        if gold.name == answer.name or {gold.name, answer.name} <= _RESULT:
            return same(*inner)
        if (letters(gold) and letters(answer)) or equivalent(*wholes) is True:
            return same(spread(gold), spread(answer)) if letters(gold) else (True, "relation")
        found = same(*inner)
        return found if found[0] is False and all(map(understood, inner)) else (None, "names")
    if letters(gold) or letters(answer):
        return same(*((spread(one) if letters(one) else one) for one in (gold, answer)))
    if (as_sets := same_set(gold, answer)) is not None:
        return as_sets, "interval"
    for one in (gold, answer):
        if isinstance(one, Text) and "=" in one.plain:
            alike_ = equivalent(*wholes)
            return UNKNOWN if alike_ is None else (alike_, "relation")
    return same(*inner)


def _approximate(gold: Value, answer: Value) -> Outcome:
    """A value with its rounding counts by the value, or by its rounding if that is asked for."""
    exact = [one.exact if isinstance(one, Approximate) else one for one in (gold, answer)]
    if any(isinstance(one, Approximate) and is_far(one) for one in (gold, answer)):
        return None, "rounded"
    found = same(*exact)
    if found[0] is True:
        return found
    for one in (gold, answer):
        if isinstance(one, Approximate):
            close = same(one.exact, one.rounded)
            if close[0] is not True and close[1] != "rounded":
                return None, "rounded"
    if isinstance(answer, Approximate) and isinstance(gold, Number) and gold.decimals:
        return (True, "rounded") if gold.value == answer.rounded.value else found
    return found


def _against_number(gold: Number, answer: Value) -> Outcome:
    if isinstance(answer, Listed):
        if gold.decimals and gold.value == decimal_comma(answer):
            return True, "decimal_comma"
        if _GROUPS.fullmatch(answer.plain) and gold.value == int(re.sub("[, ]", "", answer.plain)):
            return None, "separator"  # 8, 424
        if _measures(answer):
            return None, "compound"  # 18 hours and 48 minutes
        if all(same(gold, item)[0] for item in answer.items):
            return True, "list"  # twice the same
        return (False if understood(answer) else None), "list"
    if isinstance(answer, Text):
        return formula_and_number(answer, gold)
    return UNKNOWN


def _number_against(gold: Value, answer: Number) -> Outcome:
    if isinstance(gold, Listed):
        if answer.decimals and answer.value == decimal_comma(gold):
            return True, "decimal_comma"
        if _GROUPS.fullmatch(gold.plain):
            return None, "separator"
        if answer.unit and _measures(gold):
            return None, "compound"
        return (False, "list") if understood(gold) and len(gold.items) > 1 else UNKNOWN
    return formula_and_number(gold, answer) if isinstance(gold, Text) else UNKNOWN


def _measures(value: Listed) -> bool:
    """Whether a part of it has a unit."""
    return any(isinstance(item, Number) and item.unit for item in value.items)


def _both_signs(value: Value) -> Value:
    r"""The list of both values of a formula with one ``\pm``, also within a list."""
    if isinstance(value, Text) and value.plain.count(r"\pm") == 1 and r"\mp" not in value.plain:
        pair = [read(value.plain.replace(r"\pm", sign)) for sign in "+-"]
        return Listed("", tuple(x for x in pair if x is not None), value.text, value.plain)
    if isinstance(value, Listed) and value.brackets in ("", "{}") and r"\pm" in value.text:
        items: list[Value] = []
        for item in map(_both_signs, value.items):
            split = isinstance(item, Listed) and item not in value.items
            items.extend(item.items if split and isinstance(item, Listed) else [item])
        return replace(value, items=tuple(items))
    return value


def _list_or_text(gold: Value, answer: Value) -> Outcome:
    if (found := same_set(gold, answer)) is not None:
        return found, "interval"
    texts = [one.plain for one in (gold, answer) if isinstance(one, Text)]
    lists = [one for one in (gold, answer) if isinstance(one, Listed)]
    if texts and lists and texts[0][:1].isupper() and texts[0][1:].lstrip("' ").startswith("("):
        place = read(texts[0][1:].lstrip("' "))  # P(1, 2)
        if isinstance(place, Listed):
            return _lists(lists[0], place) if gold is lists[0] else _lists(place, lists[0])
    if texts and lists and phrases.meaning(texts[0]) in phrases.NO_NUMBER and understood(lists[0]):
        return False, "list"
    one_value = texts and constant(texts[0]) is not None
    return (False, "list") if one_value and understood(lists[0]) else UNKNOWN


def _lists(gold: Listed, answer: Listed) -> Outcome:
    """Compares element by element; sets and bare lists have no order, bracketed ones do."""
    if gold.brackets == answer.brackets and gold.text == answer.text:
        return True, "string"
    if (gold.brackets == "matrix") != (answer.brackets == "matrix"):
        row = _lists(point(gold), point(answer)) if flat(gold) or flat(answer) else UNKNOWN
        return row if gold.brackets == "()" or not row[0] else (None, "brackets")
    kinds = {gold.brackets, answer.brackets}
    if (
        any(
            sign in text
            for sign in ("<", ">", r"\ne", r"\le", r"\ge")
            for text in (gold.text, answer.text)
        )
        and (found := same_set(gold, answer)) is not None
    ):
        return found, "interval"
    if (by_name := _by_name(gold, answer)) is not None:
        return by_name
    if kinds <= {"", "{}"}:
        found = _as_sets(gold, answer)
        return UNKNOWN if found is None else (found, "list")
    in_order, method = _in_order(gold, answer)
    if len(kinds) == 1 or (in_order is True and kinds == {"", "()"}):
        return in_order, method
    if in_order is False:
        asked_in_order = gold.brackets == "()" and not answer.brackets
        if asked_in_order or _as_sets(gold, answer) is False:
            return False, "list"
    # [0, 1) is not (0, 1); whether {1, 3} may mean (1, 3) is unclear
    intervals = all(len(kind) == 2 and "{" not in kind for kind in kinds)
    return (False, "brackets") if intervals else (None, "brackets")


def _by_name(gold: Listed, answer: Listed) -> Outcome | None:
    """Compares x = 1, y = 2 by the names; None if there are none that matter."""
    left, right = _names(gold), _names(answer)
    if not left and not right:
        return None
    if set(left) == set(right) and len(left) == len(set(left)) == len(right):
        theirs = {item.name: item for item in answer.items if isinstance(item, Named)}
        found = [same(x, theirs[x.name])[0] for x in gold.items if isinstance(x, Named)]
        equal_ = _all(found)
        roots = len({name.split("_")[0] for name in left}) == 1 < len(left)  # x_1, x_2
        return (
            (None, "names")
            if roots and equal_ is False and _as_sets(gold, answer)
            else (UNKNOWN if equal_ is None else (equal_, "names"))
        )
    if all(len({name.split("_")[0] for name in names}) < 2 for names in (left, right)):
        return None  # roots: their order is nobody's
    in_order = _in_order(gold, answer)
    if in_order[0] is True and not (left and right):
        return in_order
    return (False, "names") if _as_sets(gold, answer) is False else (None, "names")


def _names(value: Listed) -> list[str]:
    """Their names, if all have one."""
    names = [item.name for item in value.items if isinstance(item, Named)]
    return names if len(names) == len(value.items) else []


def _in_order(gold: Listed, answer: Listed) -> Outcome:
    if len(gold.items) != len(answer.items):
        return (False if _closed(gold) and _closed(answer) else None), "list"
    found = [same(a, b) for a, b in zip(gold.items, answer.items, strict=True)]
    equal_ = _all(one for one, _ in found)
    if equal_ is not None:
        return equal_, "list"
    open_ = {method for one, method in found if one is None}
    return (None, open_.pop()) if len(open_) == 1 else (None, "list")


def _closed(value: Listed) -> bool:
    """Whether it has the elements that it shows and no others."""
    return all(understood(item) or (isinstance(item, Text) and r"\ldots" not in item.text)
               for item in value.items)  # fmt: skip


def _as_sets(gold: Listed, answer: Listed) -> bool | None:
    """Whether each element of one is in the other; repeats do not count."""
    left, right = ({_key(item): item for item in value.items} for value in (gold, answer))
    if left.keys() == right.keys():
        return True
    ours = [item for key, item in left.items() if key not in right]
    theirs = [item for key, item in right.items() if key not in left]
    if len(left) * len(right) > MANY:
        return None
    to_gold = (_any(same(a, b)[0] for b in right.values()) for a in ours)
    to_answer = (_any(same(a, b)[0] for a in left.values()) for b in theirs)
    return _all((_all(to_gold), _all(to_answer)))


def _key(value: Value) -> str:
    match value:
        case Number():
            sign = "%" * value.percent
            return f"{value.value.numerator}/{value.value.denominator}{sign}{value.unit}"
        case Listed():
            # p = 5, q = 2 as an element is (5, 2)
            return value.brackets.replace("()", "") + ";".join(map(_key, value.items))
        case Named(value=inner):
            return _key(inner)
        case Text():
            return value.text
    return repr(value)


def _all(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    if False in found:
        return False
    return None if None in found else True


def _any(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    if True in found:
        return True
    return None if None in found else False
