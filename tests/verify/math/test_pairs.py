"""Answers against references, by kind: each mark of both is read, or nothing is certain."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.verify import Item, Verdict, grade_all
from distill.verify.kinds import CHECKS
from distill.verify.math.compare import same
from distill.verify.math.values import Value, read

PAIRS = Path(__file__).with_name("pairs.txt").read_text(encoding="utf-8")
ALLOWED = {
    "=": {"correct"},
    "!": {"wrong", "unverifiable", "no_answer"},
    "?": {"correct", "unverifiable", "no_answer"},
}


def pairs(kind: str) -> list[tuple[str, str, str]]:
    """(sign, reference, answer) of each pair of a kind."""
    section = PAIRS.split(f"\n[{kind}]\n")[1].split("\n[")[0]
    lines = [line for line in section.split("\n") if line.strip()]
    return [(line[0], *line[2:].split("\t\t", 1)) for line in lines]  # type: ignore[misc]


KINDS = [line[1:-1] for line in PAIRS.split("\n") if line.startswith("[")]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_gets_the_label_of_its_kind(kind: str) -> None:
    found = pairs(kind)
    verdicts = grade_all(
        [Item(gold, rf"So it is $\boxed{{{answer}}}$.") for _, gold, answer in found]
    )
    missed = [
        (pair, verdict.label, verdict.method)
        for pair, verdict in zip(found, verdicts, strict=True)
        if verdict.label not in ALLOWED[pair[0]]
    ]
    assert not missed


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_the_same_is_so_in_both_directions(kind: str) -> None:
    for sign, gold, answer in pairs(kind):
        one, other = read(gold), read(answer)
        if sign == "!" and one is not None and other is not None:
            assert same(other, one)[0] is not True, (gold, answer)


# Commands that draw and say nothing, with what they draw.
WRAPPED = [
    r"\textbf{%s}", r"\mathbf{%s}", r"\boldsymbol{%s}", r"\bm{%s}", r"\mathrm{%s}", r"\large %s",
    r"{\Huge %s}", r"\color{red}{%s}", r"\textcolor{blue}{%s}", r"\underline{%s}", r"\, %s \,",
    r"\displaystyle %s", r"\left(%s\right)", r"\boxed{%s}", r"\therefore %s", r"%s \blacksquare",
    r"\text{Total: } %s", r"x = %s", r"%s \text{ apples}", r"\text{Area} = %s",
    r"\text{exactly } %s",
]  # fmt: skip
VALUES = st.fractions(min_value=-1000, max_value=1000, max_denominator=60)


def notations(value: Fraction) -> Iterator[str]:
    """A fraction as it may be written, all with the same value."""
    n, d, sign = abs(value.numerator), value.denominator, "-" * (value < 0)
    yield rf"{sign}\frac{{{n}}}{{{d}}}"
    yield rf"{sign}\dfrac{{{7 * n}}}{{{7 * d}}}"
    yield f"{sign}{n}/{d}".removesuffix("/1")
    yield rf"{sign}{{{n} \over {d}}}"
    whole, rest = divmod(n, d)
    if rest:
        yield rf"{sign}{whole}\tfrac{{{rest}}}{{{d}}}"
        yield f"{sign}{whole}.{repeating(rest, d)}"


def repeating(rest: int, below: int) -> str:
    r"""The decimals of rest/below, with what repeats under a bar.

    >>> repeating(1, 6)
    '1\\overline{6}'
    """
    digits, seen = "", {}
    while rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(10 * rest, below)
        digits += str(digit)
    start = seen[rest]
    again = digits[start:]
    return digits[:start] + (rf"\overline{{{again}}}" if again != "0" else "")


def decided(gold: str, answer: str) -> str | None:
    """The label, if no library has to be asked for it."""
    found = CHECKS["math"](gold, rf"It is $\boxed{{{answer}}}$.")
    return found.label if isinstance(found, Verdict) else None


@given(VALUES, st.sampled_from(WRAPPED))
def test_a_value_is_itself_in_every_notation_and_wrapper(value: Fraction, wrapper: str) -> None:
    forms = list(notations(value))
    for gold in forms[:1]:
        for form in forms:
            assert decided(gold, wrapper % form) == "correct", (gold, wrapper % form)


@given(VALUES, VALUES, st.sampled_from(WRAPPED))
def test_two_values_are_never_the_same_in_any_notation(
    one: Fraction, other: Fraction, wrapper: str
) -> None:
    if one == other or one == 100 * other or other == 100 * one:
        return
    for gold in notations(one):
        for form in notations(other):
            assert decided(gold, wrapper % form) in ("wrong", "unverifiable"), (gold, form)


BESIDE = [
    r"\weird{%s}", r"%s \unknowncommand", r"%s_{\text{max}}", "№%s", "%s †", r"\star %s", "%s шт",
    r"%s\,\mathrm{qux}^{7}", "about %s", "%s is wrong", "not %s", "%s thirds", "%s dozen", "%s?",
    r"\sum_{k=1}^{%s} k", "ответ %s", "答えは%sです", r"\overset{!}{=} %s",
]  # fmt: skip


@given(st.integers(2, 999), st.integers(2, 999), st.sampled_from(BESIDE))
def test_a_number_with_something_unknown_beside_it_is_not_wrong(
    gold: int, answer: int, beside: str
) -> None:
    assert decided(str(gold), beside % answer) != "wrong"


NAMES = st.lists(st.sampled_from("abxyzpqrmn"), min_size=2, max_size=4, unique=True)


@given(NAMES, st.lists(VALUES, min_size=4, max_size=4, unique=True), st.permutations(range(4)))
def test_values_by_name_may_change_their_order_but_not_their_names(
    names: list[str], values: list[Fraction], order: list[int]
) -> None:
    order = [place for place in order if place < len(names)]
    gold = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=False))
    moved = ", ".join(f"{names[place]}={values[place]}" for place in order)
    swapped = ", ".join(f"{name}={values[place]}" for name, place in zip(names, order, strict=True))
    assert decided(gold, moved) == "correct"
    assert (decided(gold, swapped) == "correct") == (order == sorted(order))


WORDS = st.text("ABCDEFGH", min_size=3, max_size=7)


@given(WORDS, st.randoms())
def test_letters_in_another_order_are_another_answer(word: str, chance: object) -> None:
    other = "".join(reversed(word))
    assert decided(word, word) == "correct"
    assert word == other or decided(word, other) != "correct"


@given(st.integers(0, 5000), st.integers(2, 9), st.integers(2, 9))
def test_a_number_in_another_base_keeps_its_value(number: int, base: int, other: int) -> None:
    def written(base: int) -> str:
        digits, rest = "", number
        while rest:
            digits, rest = str(rest % base) + digits, rest // base
        return digits or "0"

    gold = f"{written(base)}_{{{base}}}"
    assert decided(gold, f"{written(other)}_{other}") == "correct"
    assert (
        decided(gold, f"{written(base)}_{other}")
        == ("correct" if base == other or number < min(base, other) else "wrong")
        or max(map(int, written(base))) >= other
    )


def test_every_kind_has_members_that_are_right_and_others() -> None:
    signs = {kind: {sign for sign, *_ in pairs(kind)} for kind in KINDS}
    assert len(KINDS) == len(set(KINDS))
    assert all("=" in found or "!" in found for found in signs.values())


def test_a_value_is_what_it_reads_as() -> None:
    values: list[Value | None] = [read(form) for form in notations(Fraction(-17, 6))]
    assert all(value == values[0] for value in values)
