"""Near copies: words, similarity, and which rows go, against plain Python that compares all."""

import random
import unicodedata
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.near import _documents, _jaccard, _questions
from bench.near_sides import QUESTIONS, ours
from distill.near import clusters
from distill.near.clusters import near_duplicates
from distill.near.compare import jaccards
from distill.near.sketch import MISSED, missed, plan, sketches
from distill.near.words import blocks, read_words

ODD = "aB9é\u0301ßΣς²½ﬁ_-'’…—漢字ひカーไทยЖ\u00a0\u2003\0\t\n =≠\u0338İ𝐱"
odd_texts = st.lists(st.text(ODD, max_size=12) | st.text(max_size=8), max_size=5)
small_texts = st.lists(st.text("ab ", max_size=24), min_size=1, max_size=12)


def spelled(texts: list[str]) -> list[list[bytes]]:
    words = read_words(pl.Series(texts, dtype=pl.String))
    return [words.spelled(a, b - a) for a, b in pairwise(words.offsets.tolist())]


def plain_words(text: str) -> list[str]:
    """The same words, one character at a time."""
    found = [""]
    for char in unicodedata.normalize("NFKC", text).lower():
        name = unicodedata.name(char, "")
        if any(script in name for script in ("CJK", "HIRAGANA LETTER", "KATAKANA LETTER", "THAI")):
            found += [char, ""]
        elif unicodedata.category(char)[0] in "LMN":
            found[-1] += char
        else:
            found.append("")
    return [word for word in found if word]


def plain_grams(text: str, size: int = 5) -> set[tuple[str, ...]]:
    words = plain_words(text)
    return {
        tuple(words[i : i + size]) for i in range(max(len(words) - size + 1, min(1, len(words))))
    }


def plain_jaccard(one: set[tuple[str, ...]], two: set[tuple[str, ...]]) -> float:
    return len(one & two) / len(one | two) if one | two else 0.0


def plain_duplicates(texts: list[str], ranks: list[int], jaccard: float) -> dict[int, int]:
    """Row → a row that stays: each is compared with all those that stayed before it."""
    sets = [plain_grams(text) for text in texts]
    kept: list[int] = []
    gone = {}
    for row in sorted(range(len(texts)), key=ranks.__getitem__):
        like = [(plain_jaccard(sets[row], sets[other]), -ranks[other], other) for other in kept]
        best = max(like, default=(0.0, 0, 0))
        if best[0] >= jaccard:
            gone[row] = best[2]
        else:
            kept.append(row)
    return gone


def duplicates(
    texts: list[str],
    ranks: list[int] | None = None,
    *,
    jaccard: float = 0.85,
    asked: Callable[[int], None] = lambda _: None,
) -> pl.DataFrame:
    series = pl.Series(texts, dtype=pl.String)

    def read(rows: np.ndarray) -> pl.Series:
        assert (np.diff(rows) > 0).all()
        asked(len(rows))
        return series.gather(rows)

    keys = sketches(series, words=5, jaccard=jaccard)
    order = np.arange(len(texts)) if ranks is None else np.array(ranks, np.int64)
    return near_duplicates(keys, order, read, words=5, jaccard=jaccard)


def prose(rng: random.Random, size: int, vocabulary: int = 3000) -> list[str]:
    return [f"w{rng.randrange(vocabulary)}" for _ in range(size)]


def altered(rng: random.Random, words: list[str], changes: int) -> list[str]:
    words = list(words)
    for place in rng.sample(range(len(words)), changes):
        words[place] = f"x{rng.randrange(10**6)}"
    return words


@given(odd_texts)
@example(["≠", "=\u0338", "x²", "I\u0307", "a\u2003b"])
def test_words_do_not_depend_on_the_unicode_form(texts: list[str]) -> None:
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    decomposed = [unicodedata.normalize("NFD", text) for text in texts]
    assert spelled(composed) == spelled(decomposed) == spelled(texts)


@given(st.lists(st.text(ODD, max_size=30), max_size=5))
def test_words_are_those_that_are_read_one_character_at_a_time(texts: list[str]) -> None:
    expected = [[word.encode() for word in plain_words(text)] for text in texts]
    assert spelled(texts) == expected


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=40), min_size=1, max_size=30))
@example(["a" * 64, "a" * 65, "a" * 66, "a" * 8, "a" * 9, "a" * 72 + "b", "a" * 72 + "c"])
def test_words_have_the_same_hash_only_if_they_are_the_same(found: list[str]) -> None:
    hashes = read_words(pl.Series([" ".join(found)])).hashes.tolist()
    assert len(set(zip(found, hashes, strict=True))) == len(set(found)) == len(set(hashes))


def test_case_punctuation_and_white_space_are_folded() -> None:
    one, two = spelled(["“Don’t\u00a0stop,”\tshe   SAID — twice…", "don't stop she\nsaid, (twice)"])
    assert one == two == [b"don", b"t", b"stop", b"she", b"said", b"twice"]


@given(st.lists(st.none() | st.text(max_size=20), max_size=12), st.integers(1, 30))
def test_blocks_leave_nothing_out(texts: list[str | None], size: int) -> None:
    series = pl.Series(texts, dtype=pl.String)
    parts = list(blocks(series, size=size))
    assert [text for _, part in parts for text in part] == texts
    assert [start for start, _ in parts] == np.cumsum([0, *(len(p) for _, p in parts)])[
        :-1
    ].tolist()


@given(small_texts)
def test_similarity_is_that_of_the_sets_and_symmetric(texts: list[str]) -> None:
    pairs = np.array([(i, j) for i in range(len(texts)) for j in range(len(texts))])
    series = pl.Series(texts)
    found = jaccards(pairs, series.gather, words=5)
    sets = [plain_grams(text) for text in texts]
    assert found.tolist() == [plain_jaccard(sets[i], sets[j]) for i, j in pairs.tolist()]


@given(odd_texts, odd_texts)
def test_a_sketch_does_not_depend_on_its_neighbours(some: list[str], others: list[str]) -> None:
    together = sketches(pl.Series(some + others, dtype=pl.String), words=5, jaccard=0.85)
    apart = [sketches(pl.Series(x, dtype=pl.String), words=5, jaccard=0.85) for x in (some, others)]
    assert (together == np.concatenate(apart)).all()


@pytest.mark.parametrize("jaccard", [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0])
def test_a_pair_at_the_threshold_is_missed_less_than_once_in_a_million(jaccard: float) -> None:
    assert missed(jaccard, plan(jaccard)) < MISSED
    assert 4 * plan(jaccard).bands <= 320  # bytes a row


def test_bands_agree_as_often_as_the_plan_assumes() -> None:
    """Over pairs of long and of short texts; 5 standard deviations of a binomial count."""
    rng = random.Random(7)
    chosen = plan(0.85)
    for size, count in ((400, 100), (30, 600)):
        expected = spread = met = 0.0
        for _ in range(count // 100):
            ones = [prose(rng, size, 10**6) for _ in range(100)]
            twos = [altered(rng, words, max(1, size // 60)) for words in ones]
            texts = [" ".join(words) for words in ones + twos]
            keys = sketches(pl.Series(texts), words=5, jaccard=0.85)
            met += np.count_nonzero(keys[:100] == keys[100:])
            for one, two in zip(texts[:100], texts[100:], strict=True):
                p = plain_jaccard(plain_grams(one), plain_grams(two)) ** chosen.rows
                expected, spread = expected + p * chosen.bands, spread + p * (1 - p) * chosen.bands
        assert abs(met - expected) < 5 * spread**0.5, size


@pytest.mark.parametrize("rounds", [clusters.ROUNDS, 0])
@pytest.mark.parametrize(("seed", "size"), [(1, 12), (2, 60), (3, 250)])
def test_what_goes_is_what_comparing_all_pairs_finds(
    seed: int, size: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families on both sides of the threshold, some of them chains; with no rounds all is crowd."""
    monkeypatch.setattr(clusters, "ROUNDS", rounds)
    rng = random.Random(seed)
    texts = [" ".join(prose(rng, rng.randrange(size // 2, size))) for _ in range(40)]
    for _ in range(120):
        parent = rng.choice(texts).split()
        texts.append(" ".join(altered(rng, parent, rng.randrange(max(2, len(parent) // 40)))))
    ranks = rng.sample(range(len(texts)), len(texts))
    found = duplicates(texts, ranks)
    expected = plain_duplicates(texts, ranks, 0.85)
    assert set(found["row"]) == set(expected)
    sets = [plain_grams(text) for text in texts]
    for row, keeps, jaccard in found.rows():
        assert keeps not in expected
        assert ranks[keeps] < ranks[row]
        assert jaccard == plain_jaccard(sets[row], sets[keeps]) >= 0.85


def test_every_planted_pair_near_the_threshold_is_decided_rightly() -> None:
    rng = random.Random(11)
    texts, similar = [], []
    for _ in range(300):
        words = prose(rng, 250, 10**6)
        changes = rng.randrange(1, 10)
        texts += [" ".join(words), " ".join(altered(rng, words, changes))]
        similar.append(plain_jaccard(plain_grams(texts[-2]), plain_grams(texts[-1])))
    expected = {2 * i + 1 for i, jaccard in enumerate(similar) if jaccard >= 0.85}
    assert 100 < len(expected) < 250
    assert set(duplicates(texts)["row"]) == expected


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abcde"), min_size=2, max_size=40), st.randoms(use_true_random=False)
)
def test_what_goes_does_not_depend_on_the_order_of_the_rows(
    names: list[str], rng: random.Random
) -> None:
    base = {name: prose(random.Random(name), 60) for name in "abcde"}
    texts = [" ".join(altered(rng, base[name], rng.randrange(3))) for name in names]
    order = rng.sample(range(len(texts)), len(texts))
    for rounds in (clusters.ROUNDS, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clusters, "ROUNDS", rounds)
            found = duplicates(texts).rows()
            moved = duplicates([texts[i] for i in order], order).rows()
        assert sorted((order[a], order[b], jaccard) for a, b, jaccard in moved) == found


def test_nothing_goes_by_way_of_a_third_row() -> None:
    rng = random.Random(3)
    first = prose(rng, 200, 10**6)
    second = [*first[:100], *altered(rng, first[100:], 2)]
    third = [*altered(rng, second[:100], 2), *second[100:]]
    texts = [" ".join(words) for words in (first, second, third)]
    sets = [plain_grams(text) for text in texts]
    assert plain_jaccard(sets[0], sets[1]) >= 0.88 <= plain_jaccard(sets[1], sets[2])
    assert plain_jaccard(sets[0], sets[2]) < 0.88
    ways = [duplicates(texts, ranks, jaccard=0.88).rows() for ranks in ([0, 1, 2], [1, 0, 2])]
    assert [row[:2] for row in ways[0]] == [(1, 0)]
    assert [row[:2] for row in ways[1]] == [(0, 1), (2, 1)]


def test_thousands_of_copies_cost_a_comparison_each() -> None:
    rng = random.Random(5)
    base = prose(rng, 60)
    texts = [" ".join([*base, str(number)]) for number in range(6000)]
    asked: list[int] = []
    found = duplicates(texts, asked=asked.append)
    assert set(found["keeps_row"]) == {0}
    assert found["row"].to_list() == list(range(1, 6000))
    assert sum(asked) < 1.1 * len(texts)


def test_a_crowd_that_shares_a_template_does_not_cost_the_square_of_its_size() -> None:
    rng = random.Random(6)
    frame = [prose(rng, 40) for _ in range(4)]
    crowd = [
        " ".join(word for part in frame for word in [*part, *prose(rng, 1)]) for _ in range(600)
    ]
    texts = [*crowd, *crowd[300:340]]
    sets = [plain_grams(text) for text in texts[:30]]
    alike = [plain_jaccard(one, two) for one, two in pairwise(sets)]
    assert 0.7 < min(alike) <= max(alike) < 0.85
    asked: list[int] = []
    found = duplicates(texts, asked=asked.append)
    assert set(range(600, 640)) <= set(found["row"])
    assert sum(asked) < 60 * len(texts)  # all pairs would be 640 a row


def test_rows_with_the_same_sketch_are_one_only_if_their_words_are_the_same() -> None:
    rng = random.Random(8)
    second = prose(rng, 1500, 10**6)
    first = altered(rng, second, 20)
    thirds = (altered(rng, second, 1) for _ in range(100))
    texts = [" ".join(words) for words in (first, second, *thirds)]
    keys = sketches(pl.Series(texts), words=5, jaccard=0.85)
    third = next(row for row in range(2, len(texts)) if (keys[row] == keys[1]).all())
    texts = [texts[0], texts[1], texts[third], texts[1]]
    sets = [plain_grams(text) for text in texts]
    expected = [(row, 0, plain_jaccard(sets[0], sets[row])) for row in (1, 2, 3)]
    assert duplicates(texts).rows() == expected


def test_a_row_goes_at_exactly_the_threshold() -> None:
    texts = ["a b c d e f g h", "a b c d e f g h i"]
    assert duplicates(texts, jaccard=0.8).rows() == [(1, 0, 0.8)]
    assert duplicates(texts, jaccard=0.81).is_empty()


def test_short_texts_are_copies_only_if_their_words_are_the_same() -> None:
    texts = ["Yes.", "yes", "No", "It is 4", "it is: 4!", "4 it is", "it is 4 or", "it is 4 or 5"]
    assert [row[:2] for row in duplicates(texts).rows()] == [(1, 0), (4, 3)]


def test_texts_without_words_are_never_copies() -> None:
    series = pl.Series(["", None, " \n", "…!?", "\0", "", None])
    keys = sketches(series, words=5, jaccard=0.85)
    assert not keys.any()
    assert near_duplicates(keys, np.arange(7), series.gather, words=5, jaccard=0.85).is_empty()
    assert duplicates([]).is_empty()


def test_text_without_spaces_is_compared_by_its_characters() -> None:
    text = "一辆火车在三小时内行驶三百六十公里。以同样的速度,再行驶二百四十公里需要多少小时?"
    other = "一个农夫有十七只羊,除了九只以外都死了。还剩下多少只羊?请用一句话回答。"
    assert duplicates([text, other, text.replace("。", " . ")]).rows()[0][:2] == (2, 0)
    assert len(duplicates([text, other])) == 0
    assert len(duplicates([text, text + "好"])) == 1


def test_a_rank_decides_which_row_stays() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert duplicates([text] * 3, [2, 0, 1]).rows() == [(0, 1, 1.0), (2, 1, 1.0)]


def test_what_does_not_fit_is_refused() -> None:
    for jaccard in (0.49, 1.01):
        with pytest.raises(ValueError, match=r"0\.5 … 1"):
            plan(jaccard)
    keys = sketches(pl.Series(["a b"]), words=5, jaccard=0.85)
    texts = pl.Series(["a b"]).gather
    with pytest.raises(ValueError, match="do not fit"):
        near_duplicates(keys, np.arange(2), texts, words=5, jaccard=0.85)
    with pytest.raises(ValueError, match="do not fit"):
        near_duplicates(keys, np.arange(1), texts, words=5, jaccard=0.7)


def test_the_sides_of_the_benchmark_do_the_same_work() -> None:
    texts = _documents(None, range(60), 1) + _documents(None, range(140, 160), 1)
    alike = {n for n in range(9, 80, 10) if _jaccard(texts[n - 1], texts[n]) >= 0.85}
    assert ours(texts)[0] == alike
    assert 0 < len(alike) < 8
    questions = _questions(None)[:50]
    for words in (8, 13):
        for side in QUESTIONS.values():
            assert side(texts, questions, words, True)[0] == {50, 70}
