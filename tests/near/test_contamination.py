"""Benchmark questions in training data: found wherever they stand, and never where they do not."""

import dataclasses
import pickle
import random
import re
import unicodedata
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distill.near.contamination import Benchmarks, excerpt
from distill.near.copies import Copies
from distill.near.lookup import Lookup
from distill.near.runs import COMMON, Questions
from distill.near.words import read_words

letters = st.text("abc ", max_size=40)


def benchmarks(questions: list[str], words: int = 8, fuzzy: float | None = None) -> Benchmarks:
    rows = [("b", str(i), question) for i, question in enumerate(questions)]
    frame = pl.DataFrame(rows, schema=["benchmark", "row", "question"], orient="row")
    return Benchmarks.build(frame, words=words, fuzzy=fuzzy)


def strings(texts: list[str]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


def prose(rng: random.Random, size: int) -> str:
    return " ".join(f"w{rng.randrange(5000)}" for _ in range(size))


def loud(text: str) -> str:
    return "  ".join(text.upper().split(" ")).replace(".", " !") + "?!"


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def grams(text: str, size: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


QUESTIONS = [
    "Zoë's café sold 48 crêpes in April, then half as many in May. How many did it sell in all?",
    "What is the greatest prime factor of the product of six and 77?",
    "How many apples are left over?",
    "Evaluate $\\binom{8}{4}$.",
    "小明有十七只羊,除了九只以外都死了。还剩下多少只羊?",
]
WAYS = (str, loud, decomposed, lambda text: text.replace(" ", "\n\n"))


@pytest.mark.parametrize("words", [5, 8, 10, 13])
@pytest.mark.parametrize("way", WAYS)
def test_a_question_is_found_wherever_it_stands(way: Callable[[str], str], words: int) -> None:
    known = benchmarks(QUESTIONS, words)
    rng = random.Random(words)
    before, after = prose(rng, 900), prose(rng, 900)
    for number, question in enumerate(map(way, QUESTIONS)):
        long = number != 3  # fewer than five words: only if nothing else is there
        for place in (
            f"{before} {question} {after}",
            f"{question} {after}",
            f"{before} {question}",
        ):
            own = known.hits(strings([question, place, before]))
            more = known.hits(strings([""] * 3), strings([before, place, question]))
            expected = [(0, str(number)), (1, str(number))] if long else [(0, "3")]
            assert own.select("row", "benchmark_row").rows() == expected
            assert set(own["kind"]) == {"exact"}
            assert more["row"].to_list() == ([1, 2] if long else [])


def test_nothing_is_found_where_no_question_stands() -> None:
    rng = random.Random(1)
    known = benchmarks(QUESTIONS, fuzzy=0.8)
    clean = [prose(rng, 300) for _ in range(50)] + ["", "How many apples", "over left are apples"]
    assert known.hits(strings(clean), strings(clean)).is_empty()


@given(st.lists(letters, min_size=1, max_size=4), st.lists(letters, max_size=4), st.integers(5, 8))
def test_rows_that_hold_n_words_in_a_row_are_those_that_plain_python_finds(
    questions: list[str], texts: list[str], words: int
) -> None:
    known = benchmarks(questions, words)
    found = set(known.hits(strings([""] * len(texts)), strings(texts))["row"])
    expected = set()
    for row, text in enumerate(texts):
        for question in questions:
            size = min(words, len(question.split()))
            if size >= 5 and grams(question, size) & grams(text, size):
                expected.add(row)
    assert found == expected


@given(st.lists(letters, min_size=1, max_size=5), st.lists(letters, max_size=5))
@example(["a b c a b", "c"], ["b a b c a", "a b c a b c", ""])
def test_near_copies_are_those_that_plain_python_finds(
    questions: list[str], texts: list[str]
) -> None:
    def parts(text: str) -> set[tuple[str, ...]]:
        return grams(text, 1) | grams(text, 2)

    expected = {
        (row, number, len(parts(question) & parts(text)) / len(parts(question)))
        for row, text in enumerate(texts)
        for number, question in enumerate(questions)
        if len(question.split()) >= 5
        and len(parts(question) & parts(text)) >= 0.7 * len(parts(question)) - 1e-9
    }
    copies = Copies.build(read_words(strings(questions)), 0.7)
    assert set(copies.find(read_words(strings(texts)))) == expected


def test_a_question_with_other_names_and_numbers_is_a_near_copy() -> None:
    question = (
        "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
        "May. How many clips did Natalia sell altogether in April and May?"
    )
    copy = question.replace("Natalia", "Maria").replace("48", "52")
    told = f"Solve it step by step and put the answer in a box. {copy}"
    hits = benchmarks([question], words=13, fuzzy=0.7).hits(strings([copy, told, copy.upper()]))
    assert hits["row"].to_list() == [0, 1, 2]
    parts = re.split(r"(?<=\.) ", question)
    assert len(benchmarks([question], 50, 0.9).hits(strings([" ".join(parts[::-1])]))) == 1


def test_a_near_copy_is_looked_for_in_questions_only() -> None:
    known = benchmarks(["a quick test of some seven words"], fuzzy=0.6)
    texts = strings(["a quick trial of some seven words"])
    assert known.hits(texts)["kind"].to_list() == ["fuzzy"]
    assert known.hits(strings([""]), texts).is_empty()


def test_a_hash_alone_never_makes_a_hit() -> None:
    """All words of the questions are given the hashes of the text's words."""
    text = read_words(strings(["one two three four five six seven eight nine ten"]))
    words = read_words(strings(["k l m n o p q r s t"]))
    words = dataclasses.replace(words, hashes=text.hashes)
    questions = Questions.build(words, strings(["b"]), 8)
    assert len(questions.parts.find(questions.parts.hashes)[0]) == 3
    assert questions.runs(text) == []
    assert list(Copies.build(words, 0.8).find(text)) == []
    tiny = dataclasses.replace(read_words(strings(["k l"])), hashes=text.hashes[:2])
    assert Questions.build(tiny, strings(["b"]), 8).equals(read_words(strings(["one two"]))) == []


def test_the_frame_of_a_benchmark_is_no_question() -> None:
    rng = random.Random(2)
    frame = "Answer the following multiple choice question with one letter and nothing else at all:"
    own = [prose(rng, 12) for _ in range(COMMON * 3)]
    known = benchmarks([f"{frame} {text}" for text in own])
    texts = [f"{frame} {prose(rng, 12)}", *own]
    hits = known.hits(strings([""] * len(texts)), strings(texts))
    assert hits["row"].to_list() == list(range(1, len(texts)))
    assert hits["benchmark_row"].to_list() == [str(i) for i in range(len(own))]


def test_a_question_that_is_all_frame_is_still_found() -> None:
    """Every n-gram is in 20 questions, which differ in the order of two halves of many."""
    rng = random.Random(3)
    halves = [prose(rng, 8) for _ in range(20)]
    questions = [f"{a} {b}" for a in halves for b in halves if a != b]
    known = benchmarks([*questions, *halves])
    for half in halves:
        assert len(known.hits(strings([""]), strings([f"so {half} then"]))) == 1


def test_a_row_has_one_hit_in_each_benchmark_the_one_most_was_met_of() -> None:
    first = "a train leaves the station at noon and travels north for three hours without a stop"
    second = "a train leaves the station at noon and travels south"
    rows = [("one", "x", first), ("one", "y", second), ("two", "z", second)]
    frame = pl.DataFrame(rows, schema=["benchmark", "row", "question"], orient="row")
    hits = Benchmarks.build(frame, words=8, fuzzy=0.8).hits(strings(["", f"So: {second}!"]))
    assert hits.rows() == [
        (1, "one", "y", "exact", 1.0, "a train leaves the station at noon and"),
        (1, "two", "z", "exact", 1.0, "a train leaves the station at noon and"),
    ]


def test_a_hit_shows_the_words_as_the_row_has_them() -> None:
    known = benchmarks(["the naïve “baker” bakes 12 dozen small round rolls, daily"])
    text = decomposed("Today (The Naïve\n“Baker” Bakes: 12 dozen, small round!) buns")
    (hit,) = known.hits(strings([""]), strings([text])).rows(named=True)
    assert hit["text"] == decomposed("(The Naïve “Baker” Bakes: 12 dozen, small round!)")
    assert hit["kind"] == "ngram"
    assert hit["share"] == 0.8


@given(st.text("ab-é漢 \n'", max_size=30), st.integers(0, 5), st.integers(1, 5))
def test_an_excerpt_holds_its_words(text: str, first: int, count: int) -> None:
    def words(text: str) -> list[bytes]:
        read = read_words(strings([text]))
        return read.spelled(0, len(read.hashes))

    wanted = words(text)[first : first + count]
    if len(wanted) == count:
        found = words(excerpt(text, first, count))
        assert wanted in [found[i : i + count] for i in range(len(found))]


def test_a_hit_in_text_without_spaces_shows_no_more_than_the_words() -> None:
    known = benchmarks([QUESTIONS[4]], words=8)
    (text,) = known.hits(strings([""]), strings(["长" * 3000 + QUESTIONS[4]]))["text"]
    assert text == "小 明 有 十 七 只 羊 除"


def test_a_question_is_not_found_over_the_end_of_a_row() -> None:
    for question in QUESTIONS[1:3]:
        words = question.split()
        rows = strings([" ".join(words[:5]), " ".join(words[5:])])
        assert benchmarks([question], words=13).hits(rows, rows).is_empty()


def test_a_share_can_be_asked_for() -> None:
    question = "a b c d e f g h i j k l m n o p q r s t"
    text = strings([f"x {question[:19]} y"])
    for least, count in ((0.0, 1), (0.5, 1), (0.55, 0)):
        rows = benchmarks([question]).rows
        known = Benchmarks.build(rows, words=8, fuzzy=None, least=least)
        assert len(known.hits(strings([""]), text)) == count
        assert len(known.hits(strings([question]))) == 1


def test_odd_texts_neither_fail_nor_match() -> None:
    odd = ["", None, "\0" * 5, "!!! ...", "\ud7ff\ue000", "a" * 100_000, "🙂 " * 50]
    series = pl.Series(odd, dtype=pl.String)
    assert benchmarks(QUESTIONS, fuzzy=0.8).hits(series, series).is_empty()
    for nothing in ([], ["", "…"]):
        assert benchmarks(nothing, fuzzy=0.8).hits(series, series).is_empty()
    assert benchmarks(QUESTIONS, fuzzy=0.8).hits(strings([])).is_empty()


def test_questions_that_were_pickled_find_the_same() -> None:
    known = benchmarks(QUESTIONS, fuzzy=0.8)
    again = pickle.loads(pickle.dumps(known))
    texts = strings([*QUESTIONS, "nothing"])
    assert again.hits(texts, texts).equals(known.hits(texts, texts))


def test_rows_with_the_same_question_have_the_same_hits() -> None:
    texts = strings([QUESTIONS[1], "x", QUESTIONS[1]])
    hits = benchmarks(QUESTIONS).hits(texts)
    assert hits["row"].to_list() == [0, 2]
    assert len(hits.drop("row").unique()) == 1


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.lists(st.integers(0, 2**64 - 1)))
@example([0, 2**64 - 1, 0], [0, 1, 2**64 - 1])
def test_a_lookup_finds_what_is_there(known: list[int], asked: list[int]) -> None:
    count = np.arange(len(known))
    lookup = Lookup.build(np.array(known, np.uint64), count, count * 2)
    which, questions, places = lookup.find(np.array(asked + known, np.uint64))
    expected = {(i, j) for i, x in enumerate(asked + known) for j, y in enumerate(known) if x == y}
    assert set(zip(which.tolist(), questions.tolist(), strict=True)) == expected
    assert len(which) == len(expected)
    assert (places == questions * 2).all()


def test_numbers_out_of_range_are_refused() -> None:
    for words in (4, 51):
        with pytest.raises(ValueError, match="5 … 50"):
            benchmarks(QUESTIONS, words)
    with pytest.raises(ValueError, match="0 … 1"):
        Benchmarks.build(benchmarks(QUESTIONS).rows, least=1.1)
    for fuzzy in (0.4, 1.1):
        with pytest.raises(ValueError, match=r"0\.5 … 1"):
            benchmarks(QUESTIONS, fuzzy=fuzzy)


def test_every_question_is_found_in_a_long_answer_and_no_other_of_its_kind() -> None:
    rng = random.Random(4)
    asked = [f"{prose(rng, rng.randrange(5, 60))}?" for _ in range(300)]
    others = [f"{prose(rng, rng.randrange(5, 60))}?" for _ in range(300)]
    known = benchmarks(asked, words=13, fuzzy=None)
    texts = strings([f"{prose(rng, 40)} {loud(one)} {prose(rng, 40)}" for one in asked])
    nothing = strings([""] * len(asked))
    assert set(known.hits(nothing, texts)["row"]) == set(range(len(asked)))
    assert known.hits(strings(others)).is_empty()
