from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.errors import UserError
from distill.filtering.selection import NEEDED, Choice, choose, orders
from distill.recipes.filters import Select

TYPES: dict[str, Any] = {
    "id": pl.String,
    "sample": pl.UInt32,
    "domain": pl.String,
    "source": pl.String,
    "reason": pl.String,
    "text_hash": pl.UInt64,
    "prompt_hash": pl.UInt64,
    "verdict": pl.String,
    "length": pl.Float64,
}


def row(name: str, sample: int = 0, **other: Any) -> dict[str, Any]:
    """One row of a text and prompt of its own, unless told otherwise."""
    own = {"text_hash": hash((name, sample)) % 2**60, "prompt_hash": hash(name) % 2**60}
    fixed = {"domain": "math", "source": "s", "reason": None, "verdict": "correct", "length": 1.0}
    return {"id": name, "sample": sample} | fixed | own | other


def choice(rows: list[dict[str, Any]], **select: Any) -> Choice:
    recipe = Select(**select)
    return choose(
        pl.DataFrame(rows, schema=TYPES), recipe, orders(recipe, list(TYPES), "r.yaml"), near
    )


def near(ranked: pl.DataFrame) -> pl.DataFrame:
    """Stands for a comparison of texts: rows of one length are near copies."""
    stays = pl.col("row").sort_by("rank").first().over("length")
    found = ranked.with_columns(keeps_row=stays, jaccard=0.9).filter(pl.col("row") != stays)
    return found.select("row", "keeps_row", "jaccard")


def chosen(rows: list[dict[str, Any]], prefer: str | None = None, **select: Any) -> list[Any]:
    if "at_most" in select:
        select["per_prompt"] = {"at_most": select.pop("at_most"), "prefer": prefer}
    return choice(rows, **select).reasons.to_list()


def test_the_columns_of_these_tests_are_those_it_needs() -> None:
    assert set(NEEDED) < set(TYPES)


def test_without_a_selection_everything_stays() -> None:
    assert chosen([row("a"), row("b", reason="wrong")]) == [None, "wrong"]


def test_of_duplicates_the_smallest_key_stays() -> None:
    rows = [row("b", text_hash=1), row("a", 1, text_hash=1), row("a", 0, text_hash=1), row("c")]
    assert chosen(rows, dedupe="exact") == ["duplicate", "duplicate", None, None]


def test_of_duplicates_the_preferred_stays_and_the_others_name_it() -> None:
    rows = [row("a", length=3.0), row("b", length=1.0), row("c", length=2.0)]
    same = [r | {"text_hash": 7} for r in rows]
    found = choice(same, dedupe="exact", prefer="length ASC")
    assert found.reasons.to_list() == ["duplicate", None, "duplicate"]
    assert found.duplicates.rows() == [(0, 1, 1.0), (2, 1, 1.0)]


def test_a_copy_of_a_near_copy_points_to_the_row_that_stays() -> None:
    rows = [
        row("a", 1, length=5.0, text_hash=1),  # a copy of b …
        row("b", 0, length=5.0, text_hash=1),  # … which is nearly the preferred c
        row("c", 0, length=5.0, text_hash=2, domain="best"),
    ]
    found = choice(rows, dedupe="near", prefer="domain ASC")
    assert found.reasons.to_list() == ["duplicate", "duplicate", None]
    assert found.duplicates.rows() == [(0, 2, 0.9), (1, 2, 0.9)]


def test_a_row_that_is_out_already_shadows_no_duplicate_and_fills_no_place() -> None:
    rows = [row("a", 0, reason="wrong"), row("a", 1)]
    same = [r | {"text_hash": 1} for r in rows]
    for dedupe in ("exact", "near"):
        assert chosen(same, dedupe=dedupe) == ["wrong", None]
    assert chosen(rows, at_most=1) == ["wrong", None]
    assert chosen(rows, quota={"math": 1}) == ["wrong", None]


def test_of_a_prompt_the_preferred_stay_and_unknown_values_go_first() -> None:
    rows = [row("a", i, length=length) for i, length in enumerate([3.0, None, 1.0, 2.0])]
    assert chosen(rows, "length ASC", at_most=2) == ["per_prompt", "per_prompt", None, None]
    assert chosen(rows, "length DESC", at_most=2) == [None, "per_prompt", "per_prompt", None]
    assert chosen(rows, "length ASC", at_most=3) == [None, "per_prompt", None, None]


def test_a_prompt_without_a_preference_of_its_own_takes_that_of_the_selection() -> None:
    rows = [row("a", i, length=length) for i, length in enumerate([3.0, 1.0])]
    assert chosen(rows, at_most=1) == [None, "per_prompt"]
    found = choice(rows, per_prompt={"at_most": 1}, prefer="length ASC").reasons
    assert found.to_list() == ["per_prompt", None]


def test_a_tie_in_preference_goes_to_the_sample() -> None:
    rows = [row("a", i, length=1.0) for i in (2, 0, 1)]
    assert chosen(rows, "length ASC", at_most=1) == ["per_prompt", None, "per_prompt"]


def test_a_second_column_breaks_the_ties_of_the_first() -> None:
    rows = [row("a", i, length=float(i == 2)) for i in range(3)]
    assert chosen(rows, "length asc, sample DESC", at_most=1) == ["per_prompt", None, "per_prompt"]


def answers(name: str, verdicts: list[str | None], **other: Any) -> list[dict[str, Any]]:
    return [row(name, i, verdict=verdict, **other) for i, verdict in enumerate(verdicts)]


WINDOWS = [
    # verdicts on the samples of one prompt, window, reason of what passed the rules
    (["correct", "correct"], {"at_most": 0.9}, "too_easy"),
    (["correct", "wrong"], {"at_most": 0.9}, None),
    (["correct", "wrong"], {"at_most": 0.5}, None),  # both ends are in the window
    (["correct", "wrong"], {"at_least": 0.5}, None),
    (["correct", "wrong", "wrong"], {"at_least": 0.5}, "too_hard"),
    (["correct", "no_answer"], {"at_least": 0.6}, "too_hard"),
    (["correct", "unverifiable"], {"at_most": 0.9}, None),  # one judged answer says too little
    (["correct", "unverifiable"], {"at_most": 0.9, "samples": 1}, "too_easy"),
    (["correct", None], {"at_most": 0.9, "samples": 1}, "too_easy"),  # never judged
]


@pytest.mark.parametrize(("verdicts", "window", "expected"), WINDOWS)
def test_a_prompt_outside_the_window_of_difficulty_goes_whole(
    verdicts: list[str | None], window: dict[str, Any], expected: str | None
) -> None:
    rows = answers("a", verdicts)
    for r in rows:
        r["reason"] = None if r["verdict"] == "correct" else "wrong"
    reasons = chosen(rows, difficulty=window)
    assert {why for r, why in zip(rows, reasons, strict=True) if r["reason"] is None} == {expected}
    assert all(why == "wrong" for r, why in zip(rows, reasons, strict=True) if r["reason"])


def test_domains_without_a_quota_are_not_touched() -> None:
    rows = [row("a"), row("b"), row("c", domain="code")]
    assert sorted(map(str, chosen(rows, quota={"math": 0}))) == ["None", "quota", "quota"]


def test_a_source_has_a_quota_of_its_own_within_that_of_its_domain() -> None:
    rows = [row(str(i), source="ab"[i % 2]) for i in range(20)]
    quota = {"math": {"total": 12, "sources": {"a": 4}}}
    reasons = chosen(rows, quota=quota)
    kept = [r["source"] for r, why in zip(rows, reasons, strict=True) if why is None]
    assert len(kept) == 12
    assert kept.count("a") <= 4
    only = chosen(rows, quota={"math": {"sources": {"a": 4}}})
    kept = [r["source"] for r, why in zip(rows, only, strict=True) if why is None]
    assert (kept.count("a"), kept.count("b")) == (4, 10)


PREFERENCES = [
    ("lenght ASC", "no column 'lenght'; did you mean 'length'?"),
    ("length UP", "'length UP': write 'column ASC' or DESC"),
    ("length ASC,", "'': write 'column ASC' or DESC"),
    ("length; DROP", "write 'column ASC' or DESC"),
]


@pytest.mark.parametrize(("prefer", "text"), PREFERENCES)
def test_an_unusable_preference_is_one_line(prefer: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen([row("a")], prefer, at_most=1)
    assert str(caught.value).startswith("r.yaml: select.per_prompt.prefer: ")
    assert text in str(caught.value)
    with pytest.raises(UserError, match=r"r.yaml: select.prefer: "):
        choice([row("a")], prefer=prefer)


@pytest.mark.parametrize(
    "select",
    [
        {"difficulty": {"at_least": 0.8, "at_most": 0.2}},
        {"quota": {"math": -1}},
        {"quota": {"math": "many"}},
        {"quota": {"maths": 1}},
        {"near": {"jaccard": 0.2}},
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(select: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Select(**select)


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from("abcd"),
        st.integers(0, 3),
        domain=st.sampled_from(["math", "code"]),
        source=st.sampled_from(["s", "t"]),
        reason=st.sampled_from([None, None, None, "wrong"]),
        verdict=st.sampled_from(["correct", "wrong", None]),
        text_hash=st.integers(0, 5),
        length=st.none() | st.floats(0, 3),
    ),
    unique_by=lambda r: (r["id"], r["sample"]),
    max_size=16,
)
SELECTS = st.fixed_dictionaries(
    {},
    optional={
        "dedupe": st.sampled_from(["exact", "near"]),
        "at_most": st.integers(1, 3),
        "difficulty": st.just({"at_least": 0.2, "at_most": 0.8}),
        "quota": st.dictionaries(st.sampled_from(["math", "code"]), st.integers(0, 5)),
    },
)


@given(rows=ROWS, select=SELECTS, data=st.data())
def test_the_order_of_the_input_decides_nothing(
    rows: list[dict[str, Any]], select: dict[str, Any], data: st.DataObject
) -> None:
    def by_key(some: list[dict[str, Any]]) -> dict[Any, Any]:
        reasons = chosen(some, "length ASC", **select)
        return {(r["id"], r["sample"]): why for r, why in zip(some, reasons, strict=True)}

    assert by_key(data.draw(st.permutations(rows))) == by_key(rows)


@given(rows=ROWS, select=SELECTS)
def test_what_is_kept_fits_every_limit_and_a_reason_stays(
    rows: list[dict[str, Any]], select: dict[str, Any]
) -> None:
    reasons = chosen(rows, "length ASC", **select)
    kept = [r for r, why in zip(rows, reasons, strict=True) if why is None]
    for r, why in zip(rows, reasons, strict=True):
        assert r["reason"] in (None, why)
    if "dedupe" in select:
        assert len({r["text_hash"] for r in kept}) == len(kept)
    for r in kept:
        same = [k for k in kept if k["prompt_hash"] == r["prompt_hash"]]
        assert len(same) <= select.get("at_most", 16)
    for domain, most in select.get("quota", {}).items():
        dropped = sum(
            why == "quota" and r["domain"] == domain for r, why in zip(rows, reasons, strict=True)
        )
        left = sum(r["domain"] == domain for r in kept)
        assert left == min(most, left + dropped)  # exact: nothing is dropped below the quota


@given(rows=ROWS, select=SELECTS)
def test_every_duplicate_names_a_row_that_was_not_one(
    rows: list[dict[str, Any]], select: dict[str, Any]
) -> None:
    found = choice(rows, dedupe=select.get("dedupe", "exact"))
    gone = found.duplicates["row"].to_list()
    assert gone == [i for i, why in enumerate(found.reasons) if why == "duplicate"]
    assert all(found.reasons[i] is None for i in found.duplicates["keeps_row"])


def test_the_draw_of_a_quota_is_the_same_for_ever() -> None:
    rows = [row(name) for name in "abcdef"]
    reasons = chosen(rows, quota={"math": 2})
    kept = [r["id"] for r, why in zip(rows, reasons, strict=True) if why is None]
    assert kept == ["b", "c"]
    more = chosen([*rows, row("g"), row("h")], quota={"math": 8})
    assert more == [None] * 8
