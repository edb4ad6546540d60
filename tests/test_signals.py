"""What each signal measures, case by case, and what all of them promise."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.rows import SCHEMA, Message, Row, to_frame
from distill.signals import MODULES, Signal, all_columns, language, owner
from distill.signals.repetition import tail_loop, zlib_ratio

SHARED = Path(__file__).parents[2] / "shared" / "data"
NAMES = [module.__name__.rpartition(".")[2] for module in MODULES]


def row(
    reasoning: str = "",
    response: str = "",
    *,
    question: str | None = "How many?",
    finish_reason: str | None = "stop",
    completion_tokens: int | None = None,
    gold: str | None = None,
    verify: str | None = None,
) -> Row:
    return Row(
        id="0",
        sample=0,
        domain="math",
        source="test",
        messages=None if question is None else (Message(role="user", content=question),),
        gold=gold,
        verify=verify,
        reasoning=reasoning,
        response=response,
        finish_reason=finish_reason,
        teacher=None,
        prompt_tokens=None,
        reasoning_tokens=None,
        completion_tokens=completion_tokens,
        cost_usd=None,
    )


def value(column: str, of: Row) -> object:
    module = owner(column)
    assert module is not None
    return module.measure(to_frame([of]))[column].item()


ENGLISH = "We count the apples, then the pears. "
CHINESE = "这道题很简单"
JAPANESE = "これは簡単な問題です"

# (column, row, value)
CASES = [
    ("finished", row(finish_reason="stop"), True),
    ("finished", row(finish_reason=" EOS_Token "), True),  # what TGI says
    ("finished", row(finish_reason="length"), False),
    ("finished", row(finish_reason=None), None),  # not told: not known
    ("thought_closed", row("So 2.", "2"), True),
    ("thought_closed", row("So 2 and", ""), False),  # all thought, no end
    ("thought_closed", row("So 2 and", " \n"), False),
    ("thought_closed", row("", "2"), True),  # no thought, nothing to close
    ("thought_closed", row("a <think> b", "2"), False),  # nested
    ("thought_closed", row("a", "b </think> 2"), False),  # a second end
    ("thought_closed", row("I think > that", "x < think"), True),  # not a tag
    ("response_chars", row("", "  ab "), 2),
    ("response_chars", row("", "日本"), 2),  # letters, not bytes
    ("think_tags", row("<THINK> a </Thinking>", "</think>"), 3),
    ("chat_tokens", row("a", "b<|im_end|>\n<|im_start|>user"), 2),
    ("chat_tokens", row("a", "[INST] b [/INST] <｜end▁of▁sentence｜>"), 3),
    ("chat_tokens", row("a", "if a <|b| or |c|>: [list]"), 0),  # absolute values
    ("reasoning_chars", row("abc"), 3),
    ("total_tokens", row("a" * 36, "b" * 36), 20),  # estimated
    ("total_tokens", row("a" * 36, "b" * 36, completion_tokens=7), 7),  # counted
    ("total_tokens", row("a" * 36, completion_tokens=0), 10),  # a server that does not count
    ("foreign_chars", row("вдва раза", question="In English?"), 8),
    ("foreign_chars", row("α + β = 𝑥, naïve", "∑ ≤ ∞"), 0),  # Greek and signs are at home
    ("foreign_chars", row(CHINESE, CHINESE, question=CHINESE), 0),  # asked in Chinese
    ("foreign_chars", row(CHINESE, question="Why 好?"), 0),  # a third of the question's letters
    ("foreign_chars", row(CHINESE, question="Why " + "so " * 20 + "好?"), 6),  # a quoted word
    ("foreign_chars", row(JAPANESE, question=JAPANESE), 0),  # kana bring Han
    ("foreign_chars", row(JAPANESE, question=CHINESE), 6),  # Han does not bring kana
    ("foreign_chars", row(CHINESE, "ok", question=None), 0),  # mostly Chinese by itself
    ("foreign_chars", row(ENGLISH, CHINESE, question=None), 6),
    ("foreign_chars", row("ქართული"), 7),  # a script without an entry of its own
    ("foreign_share", row("ab日本"), 0.5),
    ("foreign_share", row(), None),
    ("repeat_20gram", row(ENGLISH), 0.0),  # too short to repeat
    ("repeat_20gram", row(" ".join(map(str, range(200)))), 0.0),
    (
        "repeat_20gram",
        row(" ".join(map(str, range(40))) + "\n" + " ".join(map(str, range(40)))),
        21 / 61,
    ),
    ("tail_loop", row("Done. " + ENGLISH * 2), 0),  # said twice
    ("tail_loop", row("Done>" + (ENGLISH * 4).strip()), 4 * len(ENGLISH) - 1),
    ("tail_loop", row("Done>" + (ENGLISH * 4)[:-9], "5"), 4 * len(ENGLISH) - 9),  # cut in a turn
    ("longest_paragraph_chars", row("ab\n \ncdef\r\n\r\ng", "h" * 99), 4),  # of the thought
    ("longest_paragraph_chars", row("a\nb\nc"), 5),  # lines are not paragraphs
    ("longest_paragraph_chars", row("", "h" * 99), 0),
    ("thought_code_fences", row("x\n```python\n1\n```\n", "```\n```"), 2),
    ("thought_code_fences", row("write ``` in a line"), 0),
    ("verdict", row("", r"\boxed{2}", gold="2", verify="math"), "correct"),
    ("verdict", row("2", "", gold="2", verify="math"), "no_answer"),  # the thought does not count
    ("verdict", row("", "2", gold=None, verify="math"), "unverifiable"),
    ("verdict", row("", "2", gold="2", verify=None), "unverifiable"),
    ("verdict_method", row("", "2", gold="2", verify="judge"), "no_checker"),  # no check for it yet
    ("verdict_answer", row("", r"\boxed{ 2}", gold="2", verify="math"), "2"),
    ("verdict_detail", row("", "The answer is 2.", gold="2", verify="math"), "stated"),
]


@pytest.mark.parametrize(("column", "of", "expected"), CASES)
def test_signals_measure_what_they_say(column: str, of: Row, expected: object) -> None:
    found = value(column, of)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_every_signal_has_a_case() -> None:
    assert {column for column, _, _ in CASES} == set(all_columns()) - {"zlib_ratio"}


def test_zlib_ratio_tells_a_loop_from_text() -> None:
    text = " ".join(f"{n * 7919 % 104729} steps" for n in range(300))
    loop = "Wait, let me check that once more. " * 100
    assert (zlib_ratio(loop) or 1) < 0.15 < (zlib_ratio(text) or 0)
    assert zlib_ratio("") is None


@given(st.text(alphabet="ab c", min_size=13, max_size=90), st.integers(3, 9), st.integers(0, 12))
def test_a_tail_loop_is_found_whole(turn: str, turns: int, cut: int) -> None:
    text = ("x" * 50 + "#" + turn * turns)[: -cut or None].rstrip()
    found = tail_loop(text)
    # at least what was repeated after the mark, unless that is too short or not three turns
    looped = len(text) - 51
    if looped >= 3 * len(turn) and looped >= 80 and turn.strip():
        assert found >= looped
    assert found <= len(text)


def counted(text: str) -> float:
    words = text.split()
    grams = [tuple(words[i : i + 20]) for i in range(len(words) - 19)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "é\n", "\u2003c"]), max_size=80), min_size=1, max_size=4
    )
)
def test_hashed_20grams_count_as_real_ones(texts: list[list[str]]) -> None:
    rows = [row(" ".join(words)) for words in texts]
    module = owner("repeat_20gram")
    assert module is not None
    found = module.measure(to_frame(rows))["repeat_20gram"].to_list()
    assert found == pytest.approx([counted(of.reasoning) for of in rows])


ODD = [
    row(),
    row("a", "b", question=None, verify="math", gold="1"),
    row("\x00\u200b\ufeff", "\U0010ffff\u0301" * 9, question=""),
    row("x" * 2_000_000, "1" * 300_000, gold="1" * 300_000, verify="math"),  # huge
    row("word " * 100_000, "\\boxed{" * 50_000, gold="{", verify="exact"),
    row("日本" * 5_000, "```" * 5_000, verify="made up", gold=""),
    row("\n" * 50_000, "\r\n" * 9, finish_reason=""),
]


def nulls(height: int) -> pl.DataFrame:
    """Rows in which everything that can be missing is."""
    return pl.DataFrame({name: [None] * height for name in SCHEMA}, schema=SCHEMA)


TABLES = {
    "empty": to_frame([]),
    "one row": to_frame([row(ENGLISH, "2")]),
    "odd": to_frame(ODD),
    "nulls": nulls(3),
    "nulls among rows": pl.concat([nulls(1), to_frame(ODD[:3]), nulls(2)]),
    "many": to_frame([row(ENGLISH * 9, str(n)) for n in range(600)]),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_module_keeps_its_contract(module: Signal, table: str) -> None:
    frame = TABLES[table]
    found = module.measure(frame)
    assert found.schema == pl.Schema(module.COLUMNS)
    assert found.height == frame.height
    assert found.equals(module.measure(frame))


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_a_row_is_measured_alike_alone_and_among_others(module: Signal) -> None:
    frame = pl.concat([TABLES["odd"], TABLES["many"].head(5), nulls(1)])
    whole = module.measure(frame)
    alone = pl.concat([module.measure(frame.slice(at, 1)) for at in range(frame.height)])
    assert whole.equals(alone)


@given(st.text(), st.text(), st.none() | st.text())
def test_no_text_makes_a_signal_raise(reasoning: str, response: str, question: str | None) -> None:
    frame = to_frame([row(reasoning, response, question=question, gold="1", verify="math")])
    for module in MODULES:
        assert module.measure(frame).height == 1


def test_modules_are_described_and_apart() -> None:
    for module in MODULES:
        assert (module.__doc__ or "").strip()
        assert module.VERSION >= 1
        assert not set(module.COLUMNS) & set(SCHEMA)
    assert sum(len(module.COLUMNS) for module in MODULES) == len(all_columns())
    assert [module.COST for module in MODULES] == sorted(module.COST for module in MODULES)
    assert owner("id") is None


def test_every_signal_is_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "filters.md").read_text(encoding="utf-8")
    assert [name for name in all_columns() if f"`{name}`" not in text] == []


def test_each_foreign_letter_is_counted_once() -> None:
    letters = "日のハ한яعאहไქ"  # one of each script, and one without an entry
    assert value("foreign_chars", row("abc " + letters)) == len(letters)
    assert len(language.SCRIPTS) == len(letters) - 1  # both kana share an entry


def test_real_traces_of_r1_hardly_ever_slip_or_loop() -> None:
    path = SHARED / "traces.jsonl.gz"
    if not path.exists():
        pytest.skip("no shared data here")
    with gzip.open(path) as file:
        rows = [line for line in map(json.loads, file) if line["teacher"] == "deepseek-r1"]
    frame = pl.DataFrame(
        [{name: line.get(name) for name in SCHEMA} for line in rows], schema=SCHEMA, orient="row"
    )
    foreign, loops = (owner(name) for name in ("foreign_chars", "zlib_ratio"))
    assert foreign is not None
    assert loops is not None
    assert foreign.measure(frame).filter(pl.col("foreign_chars") > 40).height == 1
    repeats = loops.measure(frame.filter(pl.col("finish_reason") == "stop"))
    assert repeats["zlib_ratio"].min() > 0.2  # type: ignore[operator]
    assert repeats["repeat_20gram"].max() < 0.06  # type: ignore[operator]
