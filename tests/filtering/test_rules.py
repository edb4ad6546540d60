"""Rules: what a recipe may say, which reason a row gets, and what is measured for it."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.filtering.rules import Rules, compile, judge
from distill.filtering.stored import SCALARS
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.rows import SCHEMA
from distill.signals import all_columns
from tests.builders.measured import measured

CHECKOUT = Path(__file__).parents[2]
SHIPPED = sorted((CHECKOUT / "filters").glob("*.yaml"))


def table(**columns: list[object]) -> pl.DataFrame:
    """Rows with these columns; the rest as an answered question would have them."""
    height = len(next(iter(columns.values())))
    usual: dict[str, object] = {
        "id": "0",
        "sample": 0,
        "domain": "math",
        "source": "test",
        "gold": "2",
        "verify": "math",
        "reasoning": "One and one.",
        "response": "\\boxed{2}",
        "finish_reason": "stop",
    }
    values = {name: columns.get(name, [usual.get(name)] * height) for name in SCHEMA}
    values["sample"] = list(range(height))
    return pl.DataFrame(values, schema=SCHEMA)


def shipped(path: Path) -> Rules:
    recipe = load(str(path), FilterRecipe).recipe
    return compile(recipe.rules, str(path), measure=recipe.measure)


# (SQL, what the message says) — a mistake is named before anything is read
REFUSED = [
    ("total_token <= 5", r"no such column 'total_token'; did you mean 'total_tokens'\?"),
    ("total_tokens <=", "not an SQL expression"),
    ("", "not an SQL expression"),
    ("*", "not an SQL expression"),
    ("total_tokens <= 5; sample > 1", "not an SQL expression"),
    ("total_tokens", "gives Int64; a rule must be true or false"),
    ("response", "gives String"),
    ("total_tokens <= 'many'", "cannot be evaluated"),
    ("TRUE", "names no column"),
    ("1 = 1", "names no column"),
    ("COUNT(*) > 3", "names no column"),
    ("MAX(sample) > 3", "looks at other rows"),
    ("sample > AVG(sample)", "looks at other rows"),  # same height, other rows all the same
    ("sample > AVG(sample) OVER (PARTITION BY id)", "looks at other rows"),
    ("ROW_NUMBER() OVER (ORDER BY sample) <= 4", "looks at other rows"),
    ("QUANTILE_CONT(sample, 0.5) > 1", "looks at other rows"),
    ("sample IN (SELECT 1)", "holds a query"),
]


@pytest.mark.parametrize(("sql", "says"), REFUSED)
def test_a_mistaken_rule_is_one_line_naming_file_and_key(sql: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        compile({"fine": "sample >= 0", "odd": sql}, "filters/my.yaml")
    text = str(caught.value)
    assert text.startswith("filters/my.yaml: rules.odd: ")
    assert "\n" not in text


def test_an_unknown_measure_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"measure: no signal 'verdic'; did you mean 'verdict'\?"):
        compile({}, "filters/my.yaml", measure=["verdic"])


def test_a_rule_may_not_take_the_name_of_an_undecided_one() -> None:
    with pytest.raises(UserError, match="rename the rule"):
        compile({"a": "sample > 0", "a_unknown": "sample > 1"}, "filters/my.yaml")


def test_a_failing_cast_names_the_rule() -> None:
    rules = compile({"big": "CAST(gold AS INT) > 1"}, "filters/my.yaml")
    assert judge(table(gold=["2"]), rules).to_list() == [None]
    with pytest.raises(UserError, match=r"filters/my.yaml: rules.big: fails on this data"):
        judge(table(gold=["two"]), rules)


# (SQL, of a row with 12 characters of thought, 9 of response and 4 tokens): true, false, unknown
EXACT = [
    ("completion_tokens - 100 <= 100", True),
    ("completion_tokens - prompt_tokens < 0", True),
    ("-completion_tokens < 0", True),
    ("LENGTH(response) - LENGTH(reasoning) > 0", False),
    ("0 - LENGTH(response) > 0", False),
    ("LENGTH(response) * 4000000000 > 4000000000", True),
    ("completion_tokens BETWEEN LENGTH(response) - 20 AND 5", True),
    ("completion_tokens * 0.5 = 2 AND 0.5 * completion_tokens - 3 < 0", True),
    ("reasoning_tokens / sample >= 0", None),  # 0 / 0
    ("COALESCE(reasoning_tokens / sample >= 0, TRUE)", True),
    ("CASE WHEN sample = 0 THEN TRUE ELSE reasoning_tokens / sample > 1 END", True),
    ("completion_tokens / sample > 1000", True),  # infinite
    ("completion_tokens / prompt_tokens <= 0.5", True),
    ("cost_usd > 0.05", None),
    ("response || 'x' LIKE '%x'", True),
]


@pytest.mark.parametrize(("sql", "holds"), EXACT)
def test_numbers_go_below_zero_and_nan_is_unknown(sql: str, holds: bool | None) -> None:
    frame = table(
        completion_tokens=[4], prompt_tokens=[8], reasoning_tokens=[0], cost_usd=[float("nan")]
    )
    reason = {True: None, False: "odd", None: "odd_unknown"}[holds]
    assert judge(frame, compile({"odd": sql}, "r.yaml")).to_list() == [reason]


def test_a_rule_may_fail_on_rows_that_are_gone() -> None:
    rules = {"number": "gold NOT LIKE '%x%'", "big": "CAST(gold AS BIGINT) > 5"}
    frame = table(gold=["2x", "3", "7", None])
    expected = ["number", "big", None, "number_unknown"]
    assert judge(frame, compile(rules, "r.yaml")).to_list() == expected


# (finish_reason, completion_tokens, reason) under the two rules below
REASONS = [
    ("stop", 5, None),
    ("length", 5, "truncated"),
    ("length", 50, "truncated"),  # both broken: the first is the reason
    ("stop", 50, "too_long"),
    (None, 5, "truncated_unknown"),  # null is never a pass
    (None, 50, "truncated_unknown"),
    ("stop", None, "too_long_unknown"),
]


def test_the_first_broken_rule_is_the_reason() -> None:
    rules = compile(
        {"truncated": "finish_reason = 'stop'", "too_long": "completion_tokens <= 10"}, "r.yaml"
    )
    frame = table(
        finish_reason=[case[0] for case in REASONS], completion_tokens=[case[1] for case in REASONS]
    )
    assert judge(frame, rules).to_list() == [case[2] for case in REASONS]


def test_without_rules_everything_passes() -> None:
    assert judge(table(id=["a", "b"]), compile({}, "r.yaml")).null_count() == 2


def test_lists_nulls_and_texts_can_be_asked_for() -> None:
    rules = compile(
        {
            "domain": "domain NOT IN ('code', 'stem')",
            "no_box": "response LIKE '%boxed%' AND gold IS NOT NULL",
            "short": "LENGTH(response) BETWEEN 1 AND 99",
        },
        "r.yaml",
    )
    frame = table(domain=["math", "code", "math"], gold=["2", "2", None])
    assert judge(frame, rules).to_list() == [None, "domain", "no_box"]


def test_only_needed_signals_are_measured_cheap_ones_first() -> None:
    rules = compile({"wrong": "verdict = 'correct'", "long": "total_tokens < 9"}, "r.yaml")
    assert rules.needed == ("total_tokens", "verdict")
    found = measured(table(id=["a"]), rules)
    assert found.drop(SCALARS).columns == [
        *("prompt_hash", "text_hash", "text_bytes"),  # for selection
        *("reasoning_chars", "total_tokens", "tokens_by"),
        *("verdict", "verdict_answer", "verdict_method", "verdict_detail", "reason"),
    ]


def test_the_costly_signal_is_measured_on_what_passed_before_it() -> None:
    rules = compile(
        {
            "truncated": "finish_reason = 'stop'",
            "wrong": "verdict = 'correct'",
            "late": "response_chars < 10",
        },
        "r.yaml",
    )
    frame = table(
        finish_reason=["length", "stop", "stop", "stop"],
        response=["\\boxed{2}", "\\boxed{3}", "\\boxed{2}", "So it is \\boxed{2}."],
    )
    found = measured(frame, rules)
    assert found["reason"].to_list() == ["truncated", "wrong", None, "late"]
    assert found["verdict"].to_list() == [None, "wrong", "correct", "correct"]
    everything = measured(frame, rules, all_signals=True)
    assert everything["verdict"].to_list() == ["correct", "wrong", "correct", "correct"]
    assert everything["reason"].to_list() == found["reason"].to_list()
    assert set(everything.columns) >= set(all_columns())


def test_measure_labels_what_no_rule_reads() -> None:
    rules = compile({"cut": "finish_reason = 'stop'"}, "r.yaml", measure=["verdict"])
    found = measured(table(finish_reason=["stop", "length"]), rules)
    assert found["verdict"].to_list() == ["correct", None]
    assert found["reason"].to_list() == [None, "cut"]


def test_no_rows_give_no_rows() -> None:
    for path in SHIPPED:
        found = measured(pl.DataFrame(schema=SCHEMA), shipped(path))
        assert found.height == 0
        assert found.schema["reason"] == pl.String


SOME = st.sampled_from(["stop", "length", None])
TEXTS = st.sampled_from(["\\boxed{2}", "\\boxed{3}", "", "words " * 60, "日本" * 30])


@given(st.lists(st.tuples(SOME, TEXTS, TEXTS, st.integers(0, 9) | st.none()), max_size=12))
def test_every_row_comes_back_once_with_the_reason_that_its_values_give(
    rows: list[tuple[str | None, str, str, int | None]],
) -> None:
    if not rows:
        return
    finish, reasoning, response, tokens = zip(*rows, strict=True)
    frame = table(
        finish_reason=[*finish],
        reasoning=[*reasoning],
        response=[*response],
        completion_tokens=[*tokens],
    )
    rules = shipped(CHECKOUT / "filters" / "r1.yaml")
    found = measured(frame, rules)
    kept, dropped = (found.filter(pl.col("reason").is_null() == keep) for keep in (True, False))
    assert kept.height + dropped.height == len(rows)
    assert found["sample"].to_list() == list(range(len(rows)))
    everything = measured(frame, rules, all_signals=True)
    assert everything["reason"].to_list() == found["reason"].to_list()
    whole = frame.hstack(everything.select([*all_columns()]))
    assert judge(whole, rules).to_list() == found["reason"].to_list()
    for line, reason in zip(whole.iter_rows(named=True), found["reason"], strict=True):
        assert reason == first_broken(line, rules)


def first_broken(line: dict[str, object], rules: Rules) -> str | None:
    """The same by hand: one row, one rule after the other."""
    alone = pl.DataFrame([line], schema={**dict(SCHEMA), **all_columns()})
    said = alone.select(pl.sql_expr(rule.sql).alias(rule.name) for rule in rules.rules).row(0)
    for rule, holds in zip(rules.rules, said, strict=True):
        if holds is not True:
            return rule.name if holds is False else f"{rule.name}_unknown"
    return None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_compiles_and_keeps_a_clean_answer(path: Path) -> None:
    clean = table(id=["a"], completion_tokens=[9], response=["```\n1 + 1\n```\n\\boxed{2}"])
    found = measured(clean, shipped(path))
    assert found["reason"].to_list() == [None]
    assert "verdict" in found.columns
