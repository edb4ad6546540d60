from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.recipes.filters import Select
from distill.selection import NEEDED, choose, preferred

TYPES: dict[str, Any] = {
    "id": pl.String,
    "sample": pl.UInt32,
    "domain": pl.String,
    "reason": pl.String,
    "text_hash": pl.UInt64,
    "prompt_hash": pl.UInt64,
    "length": pl.Float64,
}


def row(name: str, sample: int = 0, **other: Any) -> dict[str, Any]:
    """One row of a text and prompt of its own, unless told otherwise."""
    own = {"text_hash": hash((name, sample)) % 2**60, "prompt_hash": hash(name) % 2**60}
    return (
        {"id": name, "sample": sample, "domain": "math", "reason": None, "length": 1.0}
        | own
        | other
    )


def chosen(rows: list[dict[str, Any]], prefer: str = "sample ASC", **select: Any) -> list[Any]:
    if "at_most" in select:
        select["per_prompt"] = {"at_most": select.pop("at_most"), "prefer": prefer}
    recipe = Select(**select)
    order = preferred(recipe, list(TYPES), "r.yaml")
    return choose(pl.DataFrame(rows, schema=TYPES), recipe, order).to_list()


def test_the_columns_of_these_tests_are_those_it_needs() -> None:
    assert set(NEEDED) < set(TYPES)


def test_without_a_selection_everything_stays() -> None:
    assert chosen([row("a"), row("b", reason="wrong")]) == [None, "wrong"]


def test_of_duplicates_the_smallest_key_stays() -> None:
    rows = [row("b", text_hash=1), row("a", 1, text_hash=1), row("a", 0, text_hash=1), row("c")]
    assert chosen(rows, dedupe="exact") == ["duplicate", "duplicate", None, None]


def test_a_row_that_is_out_already_shadows_no_duplicate_and_fills_no_place() -> None:
    rows = [row("a", 0, reason="wrong"), row("a", 1)]
    same = [r | {"text_hash": 1} for r in rows]
    assert chosen(same, dedupe="exact") == ["wrong", None]
    assert chosen(rows, at_most=1) == ["wrong", None]
    assert chosen(rows, quota={"math": 1}) == ["wrong", None]


def test_of_a_prompt_the_preferred_stay_and_unknown_values_go_first() -> None:
    rows = [row("a", i, length=length) for i, length in enumerate([3.0, None, 1.0, 2.0])]
    assert chosen(rows, "length ASC", at_most=2) == ["per_prompt", "per_prompt", None, None]
    assert chosen(rows, "length DESC", at_most=2) == [None, "per_prompt", "per_prompt", None]
    assert chosen(rows, "length ASC", at_most=3) == [None, "per_prompt", None, None]


def test_a_tie_in_preference_goes_to_the_sample() -> None:
    rows = [row("a", i, length=1.0) for i in (2, 0, 1)]
    assert chosen(rows, "length ASC", at_most=1) == ["per_prompt", None, "per_prompt"]


def test_a_second_column_breaks_the_ties_of_the_first() -> None:
    rows = [row("a", i, length=float(i == 2)) for i in range(3)]
    assert chosen(rows, "length asc, sample DESC", at_most=1) == ["per_prompt", None, "per_prompt"]


def test_domains_without_a_quota_are_not_touched() -> None:
    rows = [row("a"), row("b"), row("c", domain="code")]
    assert sorted(map(str, chosen(rows, quota={"math": 0}))) == ["None", "quota", "quota"]


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


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from("abcd"),
        st.integers(0, 3),
        domain=st.sampled_from(["math", "code"]),
        reason=st.sampled_from([None, None, None, "wrong"]),
        text_hash=st.integers(0, 5),
        length=st.none() | st.floats(0, 3),
    ),
    unique_by=lambda r: (r["id"], r["sample"]),
    max_size=16,
)
SELECTS = st.fixed_dictionaries(
    {},
    optional={
        "dedupe": st.just("exact"),
        "at_most": st.integers(1, 3),
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


def test_the_draw_of_a_quota_is_the_same_for_ever() -> None:
    rows = [row(name) for name in "abcdef"]
    reasons = chosen(rows, quota={"math": 2})
    kept = [r["id"] for r, why in zip(rows, reasons, strict=True) if why is None]
    assert kept == ["b", "c"]
    more = chosen([*rows, row("g"), row("h")], quota={"math": 8})
    assert more == [None] * 8
