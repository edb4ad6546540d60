"""Words, 20-grams, lines and loops on bytes: the same as the plain ways to count them."""

import re
import time
from collections import Counter
from itertools import groupby

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distill.rows import SCHEMA
from distill.signals import MODULES, readability, repetition
from distill.signals.repetition import WORDS, repeated_20grams
from distill.signals.settings import PLAIN
from distill.signals.words import split_words

# letters of all sizes and signs that look like white space, and all kinds that str.split knows
PIECES = ["a", "b" * 7, "c" * 8, "d" * 9, "e" * 41, "é", "日本", "😀", "\x00", "\u200b", "\ufeff"]
BLANKS = [" ", "\n", "\t", "\r\n", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2003", "\u3000"]
texts = st.lists(st.sampled_from(PIECES + BLANKS + ["\u2028", "\u205f"]), max_size=60).map("".join)


def encoded(many: list[str]) -> list[bytes]:
    return [text.encode() for text in many]


def frame(reasoning: list[str], response: str = "") -> pl.DataFrame:
    height = len(reasoning)
    values = {"reasoning": reasoning, "response": [response] * height}
    return pl.DataFrame({name: values.get(name, [None] * height) for name in SCHEMA}, schema=SCHEMA)


ALONE = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff])([\x00-\x7f]?)"
)


def split(text: str) -> list[str]:
    """Its words, one by one; each character of a script without spaces begins one."""
    return ALONE.sub(
        lambda found: f" {found[1]}" + (f" {found[2]}" if found[2] else ""), text
    ).split()


@given(st.lists(texts | st.text(), min_size=1, max_size=5))
@example(["日本 です3個,ไทย\U00020000a，b", "။ က", "…—日", "日"])
def test_words_are_those_of_split_and_characters_without_spaces(many: list[str]) -> None:
    found = split_words(encoded(many))
    hashes, counts = found.hashes, np.diff(found.offsets)
    words = [word for text in many for word in split(text)]
    assert counts.tolist() == [len(split(text)) for text in many]
    assert len(hashes) == len(words)
    assert len(set(zip(words, hashes.tolist(), strict=True))) == len(set(words))
    assert len(set(hashes.tolist())) == len(set(words))


def counted(text: str) -> tuple[float, float, int]:
    words = text.split()
    grams = Counter(tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))
    total = grams.total()
    return (
        (1 - len(grams) / total, max(grams.values()), len(words)) if total else (0, 0, len(words))
    )


few = st.lists(st.sampled_from(["a", "b", "long" * 9, "é\n", "\u2003c"]), max_size=90).map(" ".join)


@given(st.lists(few, min_size=1, max_size=6))
def test_repeats_are_counted_as_by_hand(many: list[str]) -> None:
    found = repeated_20grams(encoded(many))
    assert [pytest.approx(values) for values in found] == [counted(text) for text in many]


def test_a_stretch_over_two_texts_is_none() -> None:
    half = " ".join(map(str, range(15)))
    assert {share for share, *_ in repeated_20grams(encoded([half] * 40))} == {0.0}


def looped(text: str) -> tuple[int, int]:
    """The longest run of whole and cut turns at the end, tried from the shortest turn on."""
    text = text.rstrip()
    for period in range(1, len(text) // 3 + 1):
        run = period
        while run < len(text) and text[-run - 1] == text[-run - 1 + period]:
            run += 1
        if run >= 3 * period and run >= period + repetition.SEED:
            return run, period
    return 0, 0


@given(st.text("ab é", max_size=60), st.text("xy日 ", min_size=1, max_size=30), st.integers(1, 9))
def test_a_loop_at_the_end_is_the_one_that_trying_every_turn_finds(
    before: str, turn: str, turns: int
) -> None:
    text = before + turn * turns
    run, period = repetition.tail_loop(text.encode())
    expected = looped(text)
    if len(text.rstrip()) >= 2 * repetition.SEED:
        assert (run, period) == expected
    else:
        assert (run, period) == (0, 0)


def shaped(text: str) -> tuple[int, int, float | None]:
    """Paragraph, line and mean line, line by line."""
    lines = [
        "" if not line.strip(" \t") else line for line in text.replace("\r\n", "\n").split("\n")
    ]
    blocks = [list(block) for some, block in groupby(lines, bool) if some]
    full = [len(line) for line in lines if line]
    return (
        max((sum(map(len, block)) + len(block) - 1 for block in blocks), default=0),
        max(full, default=0),
        sum(full) / len(full) if full else None,
    )


@given(st.lists(st.text("ab é日\n \t\r", max_size=40), min_size=1, max_size=70))
def test_lines_and_paragraphs_are_those_of_reading_line_by_line(many: list[str]) -> None:
    found = readability.measure(frame(many), PLAIN)
    names = ("longest_paragraph_chars", "longest_line_chars", "mean_line_chars")
    assert found.select(names).rows() == [shaped(text.strip()) for text in many]


ODD = {
    "no break": "x" * 10_000_000,
    "words": "word " * 2_000_000,
    "script": "日 " * 2_500_000,
    "tags": "<think>" * 700_000 + r"\boxed{" * 700_000,
    "marks": "|" * 2_000_000
    + "*" * 2_000_000
    + "#" * 2_000_000
    + "\n" * 2_000_000
    + "```" * 600_000,
    "keys": "sk-" * 1_500_000 + "4111" * 600_000 + "a@" * 1_500_000,
}
CHEAP = [module for module in MODULES if module.COST < 2]


@pytest.mark.parametrize("name", ODD)
def test_ten_megabytes_are_measured_in_bounded_time(name: str) -> None:
    rows = frame([ODD[name]], "2")
    took = {}
    for module in CHEAP:
        began = time.process_time()
        assert module.measure(rows, PLAIN).height == 1
        took[module.__name__] = time.process_time() - began
    assert {module: s for module, s in took.items() if s > 5} == {}
