import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.mapped import Mapped
from distill.files.read import frames
from distill.think import join_think
from tests.builders.foreign_shapes import (
    ANSWER,
    ASKED,
    BATCHES,
    GOLDEN,
    INLINE,
    PLAIN,
    TALK,
    THOUGHT,
)

Lines = list[dict[str, Any]]


def as_csv(lines: Lines) -> bytes:
    """As pandas or polars write a CSV: nested values are JSON."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for line in lines:
        nested = {k: json.dumps(v) for k, v in line.items() if isinstance(v, (dict, list))}
        writer.writerow(line | nested)
    return text.getvalue().encode()


def as_parquet(lines: Lines) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(lines, infer_schema_length=None).write_parquet(file)
    return file.getvalue()


def as_lines(lines: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


FORMATS: dict[str, Callable[[Lines], bytes]] = {
    "jsonl": as_lines,
    "jsonl.gz": lambda lines: gzip.compress(as_lines(lines)),
    "jsonl.zst": lambda lines: zstandard.compress(as_lines(lines)),
    "json": lambda lines: json.dumps(lines, indent=1).encode(),
    "csv": as_csv,
    "parquet": as_parquet,
}


def read(path: Path) -> list[dict[str, Any]]:
    return [row for frame in frames(path) for row in frame.to_dicts()]


def read_lines(folder: Path, *lines: dict[str, Any], form: str = "jsonl") -> list[dict[str, Any]]:
    path = folder / f"a.{form}"
    path.write_bytes(FORMATS[form](list(lines)))
    return read(path)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", [*PLAIN, *GOLDEN, *BATCHES])
def test_every_known_shape_is_read_the_same_in_every_format(
    name: str, form: str, tmp_path: Path
) -> None:
    line = {**PLAIN, **GOLDEN, **BATCHES}[name]
    for row in read_lines(tmp_path, line, form=form):
        assert (row["reasoning"], row["response"]) == (THOUGHT, ANSWER)
        assert row["messages"] == (None if name in BATCHES else ASKED)
        assert (row["gold"], row["verify"]) == (("2", "math") if name in GOLDEN else (None, None))


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_says_who_answered_how_it_ended_and_what_it_took(name: str, tmp_path: Path) -> None:
    (row,) = read_lines(tmp_path, BATCHES[name])
    assert row["id"] == "q-1"
    assert row["finish_reason"] in ("stop", "end_turn", "STOP")
    said = [row[n] for n in ("teacher", "prompt_tokens", "completion_tokens")]
    assert said == ["m", 5, 7]


def test_several_choices_of_one_reply_are_several_answers(tmp_path: Path) -> None:
    choices = [
        {"message": {"role": "assistant", "content": text}, "finish_reason": why}
        for text, why in (("2", "stop"), ("3", "length"))
    ]
    rows = read_lines(tmp_path, {"custom_id": "q", "response": {"body": {"choices": choices}}})
    found = [(row["id"], row["sample"], row["response"], row["finish_reason"]) for row in rows]
    assert found == [("q", 0, "2", "stop"), ("q", 1, "3", "length")]


# Values of a column that says whether or how much a model was to think, in any language.
SWITCHES: list[list[Any]] = [
    ["on", "off"],
    ["off"],
    ["high", "medium", "low"],
    ["xhigh"],
    ["enabled", "disabled"],
    ["true", "False"],
    [True, False],
    ["yes", "NO"],
    [1024, 0],
    ["8192", "-1"],
    ["16k"],
    ["2048 tokens"],
    ["/think", "/no_think"],
    ["Reasoning: high"],
    ["level 5", "budget: 1,024 tokens", "not used", "Thinking: OFF"],
    ["detailed thinking on", "detailed thinking off"],
    ["none", "auto"],
    ["N/A"],
    ["开", "关"],
    ["да", "нет"],
    ["aktiviert", "deaktiviert"] * 2,  # words that nobody knows, but they repeat
    ["langsam"] * 4,
    ["turbo"],  # a single word is hardly ever a thought
    ["turbo", "eco", "schnell"],
    ["быстро", "rápido"],
]


@pytest.mark.parametrize("column", ["reasoning", "thinking", "thought", "cot", "enable_thinking"])
@pytest.mark.parametrize("values", SWITCHES, ids=str)
def test_a_switch_is_never_a_thought(values: list[Any], column: str, tmp_path: Path) -> None:
    lines = [{"question": f"{i}?", column: v, "response": "2"} for i, v in enumerate(values)]
    assert {row["reasoning"] for row in read_lines(tmp_path, *lines)} == {""}
    inline = [line | {"response": INLINE} for line in lines]
    assert {row["reasoning"] for row in read_lines(tmp_path, *inline)} == {THOUGHT}


@pytest.mark.parametrize("name", ["reasoning", "thinking"])
@pytest.mark.parametrize("value", ["off", "high", True, 1024, {"type": "enabled", "budget": 9}])
def test_a_switch_in_a_turn_is_not_a_thought_either(name: str, value: Any, tmp_path: Path) -> None:
    talk = [*ASKED, {"role": "assistant", "content": INLINE, name: value}]
    (row,) = read_lines(tmp_path, {"messages": talk})
    assert (row["reasoning"], row["response"]) == (THOUGHT, ANSWER)


@pytest.mark.parametrize("form", FORMATS)
def test_a_switch_under_our_own_names_is_no_thought_either(form: str, tmp_path: Path) -> None:
    own = {"sample": 0, "messages": ASKED, "gold": "2", "verify": "math"}
    lines = [
        {"id": "a", "reasoning": "on", "response": INLINE} | own,
        {"id": "b", "reasoning": "off", "response": ANSWER} | own,
    ]
    found = read_lines(tmp_path, *lines, form=form)
    assert [(row["id"], row["reasoning"], row["gold"]) for row in found] == [
        ("a", THOUGHT, "2"),
        ("b", "", "2"),
    ]
    assert {row["response"] for row in found} == {ANSWER}
    thoughts = [lines[0] | {"reasoning": "on", "response": "2"}, lines[1] | {"reasoning": "So 2."}]
    kept = [row["reasoning"] for row in read_lines(tmp_path, *thoughts, form=form)]
    assert kept == ["on", "So 2."]  # our own rows are read as they are


@pytest.mark.parametrize("thought", ["先算一加一等于二", "一足す一は二", "Add them.", "1+1=2"])
def test_a_short_thought_is_no_switch(thought: str, tmp_path: Path) -> None:
    (row,) = read_lines(tmp_path, {"question": "q", "reasoning": thought, "response": "2"})
    assert row["reasoning"] == thought


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_of_any_spreadsheet_is_read(separator: str, tmp_path: Path) -> None:
    cells = [["question", "thinking", "response"], ["a, b; c?", "So, 2;\n3.", "2"]]
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(cells)
    (row,) = read(path)
    assert [row["messages"][0]["content"], row["reasoning"], row["response"]] == cells[1]


def test_a_named_thought_brings_its_vendors_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = {"question": "q", "solution": "2", "gemini_thinking_trajectory": "a b"}
    line |= {"gemini_attempt": "3", "deepseek_thinking_trajectory": "c d", "deepseek_attempt": "4"}
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([line]))
    mapped = Mapped({"reasoning": "deepseek_thinking_trajectory"}, "recipe")
    (row,) = (row for frame in frames(path, mapped=mapped) for row in frame.to_dicts())
    assert (row["reasoning"], row["response"], row["gold"]) == ("c d", "4", None)


def test_rows_without_a_question_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([{"data": {"question": "q"}, "response": "2"}] * 3))
    _, counted, advice = messages_of(path, caplog)
    assert counted.startswith("3 rows have no question, and train leaves those out")
    assert advice.endswith(
        "no row of it has a question; if a column holds it: --set map.question=COLUMN"
    )
    mapped = Mapped({"question": "data.question"}, "recipe")
    rows = [row for frame in frames(path, mapped=mapped) for row in frame.to_dicts()]
    assert {row["messages"][0]["content"] for row in rows} == {"q"}


def test_an_error_does_not_list_a_column_for_every_row(tmp_path: Path) -> None:
    line = {f"{n}. How many apples are there after all of this? " * 9: "2" for n in range(3_000)}
    with pytest.raises(UserError, match=r"and 2980 more; .*--set map\.response=COLUMN") as error:
        read_lines(tmp_path, line)
    assert len(str(error.value)) < 2_000


def test_among_thoughts_only_the_switches_are_left_out(tmp_path: Path) -> None:
    thoughts = [
        "Add them.",
        "off",
        "No, carry the one.",
        "On reflection, 2.",
        "a",
        None,
        "12 - 10 = 2",
    ]
    lines = [{"question": f"{i}?", "reasoning": t, "output": "2"} for i, t in enumerate(thoughts)]
    found = [row["reasoning"] for row in read_lines(tmp_path, *lines)]
    assert found == ["" if thought in ("off", None) else thought for thought in thoughts]


# One thought in a field, another text around or beside it.
TWICE = [
    (THOUGHT, INLINE, (THOUGHT, "2")),
    (THOUGHT, "<think>\n one  and\none\n</think>\n\n2", (THOUGHT, "2")),
    (THOUGHT, "one and one</think>2", (THOUGHT, "2")),
    (THOUGHT, "<thinking>one and one</thinking>2", (THOUGHT, "2")),
    (INLINE, "2", (THOUGHT, "2")),
    (INLINE, INLINE, (THOUGHT, "2")),
    (INLINE, "", (THOUGHT, "2")),
    ("<think>one and one", "2", (THOUGHT, "2")),
    # another text in tags is not the same thought: the rules see it
    (THOUGHT, "<think>something else</think>2", (THOUGHT, "<think>something else</think>2")),
    (THOUGHT, "2", (THOUGHT, "2")),
    ("I write <think> first.", "2", ("I write <think> first.", "2")),
]


@pytest.mark.parametrize(("thought", "response", "wanted"), TWICE)
def test_a_thought_in_its_field_and_in_tags_is_one_copy(
    thought: str, response: str, wanted: tuple[str, str], tmp_path: Path
) -> None:
    column = {"question": "1 + 1?", "reasoning": thought, "response": response}
    inside = {"role": "assistant", "content": response, "reasoning_content": thought}
    for line in (column, {"messages": [*ASKED, inside]}):
        (row,) = read_lines(tmp_path, line)
        assert (row["reasoning"], row["response"]) == wanted


@pytest.mark.parametrize(
    ("response", "wanted"),
    [
        ("<answer>2</answer>", "2"),
        ("<answer>\n2\n</answer>", "2"),
        ("So <answer>2</answer>", "So <answer>2</answer>"),
        ("<answer>2</answer> or <answer>3</answer>", "<answer>2</answer> or <answer>3</answer>"),
        ("<answer>2", "<answer>2"),
        ("[1, 2]", "[1, 2]"),
        ('{"a": 1}', '{"a": 1}'),
        ('[{"type": "text"}]', '[{"type": "text"}]'),
        ('{"choices": []}', '{"choices": []}'),
    ],
)
def test_a_response_loses_only_marks_around_all_of_it(
    response: str, wanted: str, tmp_path: Path
) -> None:
    (row,) = read_lines(tmp_path, {"question": "1 + 1?", "response": response})
    assert row["response"] == wanted


# Which column is the reference where several could be, and which the response.
PARTS = [
    ({"question": "q", "answer": "2", "response": "r"}, "r", "2"),
    ({"question": "q", "answer": "2", "reasoning": "t t", "response": "r"}, "r", "2"),
    ({"question": "q", "answer": "2", "reasoning": "t t"}, "2", None),
    ({"question": "q", "answer": "2", "solution": "s"}, "s", "2"),
    ({"question": "q", "answer": "2", "reasoning": "off", "response": "r"}, "r", "2"),
    ({"messages": TALK, "answer": "5"}, "2", "5"),
    ({"messages": ASKED, "answer": "5"}, "5", None),
    ({"question": "q", "choices": ["1", "2"], "thought": "t t", "answer": "B"}, "B", None),
    ({"question": "q", "answer": ["2"], "response": "r"}, "r", "2"),
    ({"question": "q", "output": "o", "responses": ["r"]}, "o", None),
]


@pytest.mark.parametrize(("line", "response", "gold"), PARTS)
def test_an_answer_is_the_reference_only_beside_a_response(
    line: dict[str, Any], response: str, gold: str | None, tmp_path: Path
) -> None:
    (row,) = read_lines(tmp_path, line)
    assert (row["response"], row["gold"]) == (response, gold)


def test_columns_that_are_empty_throughout_do_not_count(tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "problem": None, "output": "", "response": "2", "cot": None}
    (row,) = read_lines(tmp_path, line)
    assert (row["messages"], row["response"]) == (ASKED, "2")


def test_lists_as_python_prints_them_are_refused_by_name(tmp_path: Path) -> None:
    for name, value in (("messages", TALK), ("conversations", TALK), ("generations", ["2"])):
        with pytest.raises(UserError, match=rf"{name}: is a list as Python prints it, not JSON"):
            read_lines(tmp_path, {"problem": "1 + 1?", name: str(value)}, form="csv")


def test_two_vendors_answers_are_refused_with_the_way_out(tmp_path: Path) -> None:
    line = {"question": "q", "gemini_thinking_trajectory": "a b", "gemini_attempt": "2"}
    line |= {"deepseek_thinking_trajectory": "c d", "deepseek_attempt": "3"}
    with pytest.raises(UserError, match=r"could both be the reasoning; .* map of a filters recipe"):
        read_lines(tmp_path, line)


def messages_of(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level("INFO", "distill"):
        read(path)
    return [message.removeprefix(f"{path}: ") for message in caplog.messages]


def test_one_line_says_what_is_read_as_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    dolphin = {"messages": ASKED, "reasoning": THOUGHT, "answer": "2", "model": "m", "score": 1}
    path.write_bytes(as_lines([dolphin] * 5_000))
    (said,) = messages_of(path, caplog)
    assert said == (
        "reads the prompt from messages, the thought from reasoning, the response from answer, the "
        "reference from nothing; not used: score"
    )


def test_training_says_no_column_is_unused_that_it_obeys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([{"messages": ASKED, "response": "2", "weight": 0.5, "score": 1}]))
    with caplog.at_level("INFO", "distill"):
        list(frames(path, beside=True))
    assert caplog.messages[0].endswith("; not used: score")


# What lines lack, and what is said of them.
LACKING = [
    ({"question": "q", "reasoning": THOUGHT, "response": None}, "have a thought and no response"),
    ({"messages": ASKED}, "have neither a thought nor a response"),
    ({"problem": "q", "generations": []}, "have neither a thought nor a response"),
    (
        {"custom_id": "q", "response": {"status_code": 429, "body": {"error": {"message": "m"}}}},
        "have neither a thought nor a response",
    ),
    ({"custom_id": "q", "response": None, "error": {"message": "m"}}, "have neither a thought nor"),
    ({"messages": "hello", "answer": "2"}, "hold no turns of a conversation that could be read"),
    (
        {"question": "q", "response": "2", "answer": {"a": 2}},
        "have a reference that is not one text",
    ),
    (
        {"question": "q", "response": "2", "gold": ["2", "3"]},
        "have a reference that is not one text",
    ),
]


@pytest.mark.parametrize(("line", "said"), LACKING)
def test_what_cannot_be_read_is_counted_and_still_a_row(
    line: dict[str, Any], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(read_lines(tmp_path, *[line] * 3)) == 3
    _, first, *rest = messages_of(tmp_path / "a.jsonl", caplog)
    assert first.startswith(f"3 rows {said}")
    assert rest == [] or rest == [
        "no row of it has a response; if a column holds it: --set map.response=COLUMN"
    ]


# Without what would be read as a mark, an end of a line, or white space at an end.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=2).filter(
    lambda text: not set(text) & set("<>[]{}◁|")
)
THOUGHTS = st.lists(TEXT, min_size=2, max_size=5).map(" ".join)
SHAPE = st.sampled_from(
    [
        lambda q, t, r: {"question": q, "thinking": t, "answer": r},
        lambda q, t, r: {"prompt": q, "completion": join_think(t, r)},
        lambda q, t, r: {"Question": q, "Complex_CoT": t, "Response": r},
        lambda q, t, r: {"problem": q, "deepseek_reasoning": t, "deepseek_solution": r},
        lambda q, t, r: {
            "conversations": [
                {"from": "human", "value": q},
                {"from": "gpt", "value": f"<think>{t}</think><answer>{r}</answer>"},
            ]
        },
        lambda q, t, r: {
            "messages": [
                {"role": "user", "content": q},
                {"role": "assistant", "content": join_think(t, r), "reasoning": t},
            ]
        },
    ]
)


@given(rows=st.lists(st.tuples(THOUGHTS, THOUGHTS, THOUGHTS), min_size=1, max_size=4), shape=SHAPE)
def test_any_texts_come_back_from_any_shape_and_format(
    tmp_path_factory: Any, rows: list[tuple[str, str, str]], shape: Callable[..., dict[str, Any]]
) -> None:
    for form in ("jsonl", "json", "csv", "parquet"):
        path = tmp_path_factory.getbasetemp() / f"shape.{form}"
        path.write_bytes(FORMATS[form]([shape(*row) for row in rows]))
        found = [(r["messages"][0]["content"], r["reasoning"], r["response"]) for r in read(path)]
        assert found == rows


def test_a_conversation_in_a_csv_of_our_own_columns_is_read(tmp_path: Path) -> None:
    line = {"id": "a", "sample": 1, "messages": ASKED, "reasoning": THOUGHT, "response": "2"}
    (row,) = read_lines(tmp_path, line, form="csv")
    assert (row["id"], row["sample"], row["messages"]) == ("a", 1, ASKED)


# Questions that are JSON, and requests.
QUESTIONS: list[tuple[Any, str | None]] = [
    ('[{"from": "Rome", "text": "Paris"}]', '[{"from": "Rome", "text": "Paris"}]'),
    ('{"a": 1}', '{"a": 1}'),
    ("[1, 2]", "[1, 2]"),
    ("[not JSON", "[not JSON"),
    (json.dumps(ASKED), "1 + 1?"),
    ({"model": "m", "input": "1 + 1?"}, "1 + 1?"),
    ({"model": "m", "input": ASKED}, "1 + 1?"),
    ({"model": "m", "prompt": "1 + 1?"}, "1 + 1?"),
    ({"model": "m"}, None),
    (5, "5"),
]


@pytest.mark.parametrize(("value", "asked"), QUESTIONS)
def test_a_question_may_be_json_and_a_request_holds_one(
    value: Any, asked: str | None, tmp_path: Path
) -> None:
    (row,) = read_lines(tmp_path, {"prompt": value, "response": "2"})
    assert row["messages"] == (None if asked is None else [{"role": "user", "content": asked}])


def nested(name: str, depth: int) -> Any:
    value: Any = "2"
    for _ in range(depth):
        value = {name: value} if name else [value]
    return value


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("name", ["", "content", "response", "reasoning", "text"])
@pytest.mark.parametrize("column", ["reasoning", "response", "prompt", "generations", "messages"])
def test_what_is_nested_without_end_costs_only_its_own_value(
    column: str, name: str, form: str, tmp_path: Path
) -> None:
    good: dict[str, Any] = {"question": "1 + 1?", "response": "2"}
    if column == "generations":
        good = {"question": "1 + 1?", "generations": ["2"]}
    deep = nested(name, 900)
    line = good | {"question" if column == "prompt" else column: deep}
    rows = read_lines(tmp_path, line, good, form=form)
    assert len(rows) == 2
    assert rows[1]["response"] == "2"
    ours = {"id": "a", "sample": 0, "reasoning": "r", "response": "2", "messages": [deep]}
    (row,) = read_lines(tmp_path, ours, form=form)
    assert (row["response"], row["messages"]) == ("2", None)
