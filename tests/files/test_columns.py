import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import UserError
from distill.files.read import frames
from distill.files.slices import BATCH
from distill.rows import row_id

ASKED = [{"role": "user", "content": "1 + 1?"}]
TALK = [*ASKED, {"role": "assistant", "content": "<think>a</think>2"}]
SHARED_TALK = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "1 + 1?"},
    {"from": "gpt", "value": "<think>a</think>2"},
]
TRACE = {"id": "t", "sample": 0, "reasoning": "a", "response": "2"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]}
THINKING = {"role": "assistant", "reasoning_content": "a"}
IN_PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},
    {"type": "text", "text": "2"},
]
SYSTEM = {"role": "system", "content": "Be brief."}

# One line of somebody's data, what was asked, and (reasoning, response) of its answers.
SHAPES: list[tuple[dict[str, Any], list[dict[str, str]] | None, list[tuple[str, str]]]] = [
    ({"question": "1 + 1?", "answer": "2", "response": "2"}, ASKED, [("", "2")]),
    ({"problem": "1 + 1?", "gold": "2", "output": "<think>a</think>2"}, ASKED, [("a", "2")]),
    ({"instruction": "1 + 1?", "completion": "a</think>2"}, ASKED, [("a", "2")]),
    ({"prompt": "1 + 1?", "reasoning_content": " a ", "content": "2\n"}, ASKED, [("a", "2")]),
    ({"query": "1 + 1?", "thinking": "a", "generated_text": "2"}, ASKED, [("a", "2")]),
    # with reasoning of its own, tags in the response are text
    (
        {"question": "1 + 1?", "reasoning": "a", "response": "b</think>"},
        ASKED,
        [("a", "b</think>")],
    ),
    # an empty column of reasoning does not hide inline thinking
    ({"question": "1 + 1?", "reasoning": "", "response": "<think>a</think>2"}, ASKED, [("a", "2")]),
    ({"prompt": ASKED, "response": "2"}, ASKED, [("", "2")]),
    ({"prompt": [SYSTEM, *ASKED], "response": "2"}, [SYSTEM, *ASKED], [("", "2")]),
    ({"messages": TALK}, ASKED, [("a", "2")]),
    ({"messages": ASKED, "response": "<think>a</think>2"}, ASKED, [("a", "2")]),
    # what was asked never holds an answer, wherever else the answers stand
    ({"messages": TALK, "response": "3"}, ASKED, [("", "3")]),
    ({"conversations": SHARED_TALK}, [SYSTEM, *ASKED], [("a", "2")]),
    ({"conversations": SHARED_TALK[:2]}, [SYSTEM, *ASKED], [("", "")]),  # nobody answered
    # Open R1: several answers, and a conversation that holds one of them
    (
        {"problem": "1 + 1?", "generations": ["<think>a</think>2", "<think>b"], "messages": TALK},
        ASKED,
        [("a", "2"), ("b", "")],
    ),
    ({"response": "2"}, None, [("", "2")]),
    # Alpaca: the instruction is about an input, which may be empty
    (
        {"instruction": "Add.", "input": "1 + 1", "output": "2"},
        [{"role": "user", "content": "Add.\n\n1 + 1"}],
        [("", "2")],
    ),
    ({"instruction": "1 + 1?", "input": "", "output": "2"}, ASKED, [("", "2")]),
    ({"input": "1 + 1?", "output": "2"}, ASKED, [("", "2")]),
    ({"Question": "1 + 1?", "Response": "2"}, ASKED, [("", "2")]),
    # ours but for the question or the reference, which are under other names
    ({**TRACE, "question": "1 + 1?"}, ASKED, [("a", "2")]),
    ({**TRACE, "messages": ASKED, "answer": "2"}, ASKED, [("a", "2")]),
    # content in parts, and the thought beside it
    ({"messages": [PARTS, {"role": "assistant", "content": IN_PARTS[1:]}]}, ASKED, [("", "2")]),
    ({"prompt": [PARTS], "response": "2"}, ASKED, [("", "2")]),
    ({**TRACE, "messages": [PARTS]}, ASKED, [("a", "2")]),
    ({"messages": [*ASKED, THINKING | {"content": "2"}]}, ASKED, [("a", "2")]),
    ({"messages": [*ASKED, THINKING | {"content": None}]}, ASKED, [("a", "")]),
    ({"messages": [PARTS, {"role": "assistant", "content": IN_PARTS}]}, ASKED, [("a", "2")]),
    # OpenThoughts-114k
    (
        {
            "system": "s",
            "conversations": [
                {"from": "user", "value": "1 + 1?"},
                {
                    "from": "assistant",
                    "value": "<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n"
                    "<|begin_of_solution|>\n\n2\n\n<|end_of_solution|>",
                },
            ],
        },
        ASKED,
        [("a", "2")],
    ),
    # lines that are no rows: empty texts, for the rules to drop
    ({"question": "1 + 1?", "response": None}, ASKED, [("", "")]),
    ({"question": None, "response": {"a": "2"}}, None, [("", "")]),
    ({"messages": "1 + 1?"}, None, [("", "")]),
    ({"messages": [3, {"role": 4}]}, None, [("", "")]),
    ({"problem": "1 + 1?", "generations": 5}, ASKED, [("", "")]),
    ({"problem": "1 + 1?", "generations": [None, "2"]}, ASKED, [("", ""), ("", "2")]),
]


def read(path: Path) -> list[dict[str, Any]]:
    return [row for frame in frames(path) for row in frame.to_dicts()]


def read_lines(
    folder: Path, *objects: dict[str, Any], name: str = "a.jsonl"
) -> list[dict[str, Any]]:
    path = folder / name
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return read(path)


@pytest.mark.parametrize(("line", "asked", "answers"), SHAPES)
def test_other_names_are_mapped_to_ours(
    tmp_path: Path,
    line: dict[str, Any],
    asked: list[dict[str, str]] | None,
    answers: list[tuple[str, str]],
) -> None:
    rows = read_lines(tmp_path, line)
    assert [row["messages"] for row in rows] == [asked] * len(answers)
    assert [(row["reasoning"], row["response"]) for row in rows] == answers
    assert [row["sample"] for row in rows] == list(range(len(answers)))
    assert len({row["id"] for row in rows}) == 1


@pytest.mark.parametrize("line", [line for line, _, answers in SHAPES if answers[0][1]])
def test_a_parquet_file_is_read_like_json_lines(tmp_path: Path, line: dict[str, Any]) -> None:
    path = tmp_path / "a.jsonl.parquet"
    pl.DataFrame([line]).write_parquet(path)
    expected = read_lines(tmp_path, line, name="b.jsonl")
    same = {"id": "", "source": ""}  # they hold the name of the file
    assert [row | same for row in read(path)] == [row | same for row in expected]


AMBIGUOUS: list[tuple[dict[str, Any], str]] = [
    (
        {"question": "q", "problem": "p", "response": "r"},
        "question and problem could both be the q",
    ),
    (
        {"question": "q", "response": "r", "output": "o"},
        "response and output could both be the resp",
    ),
    (
        {"question": "q", "input": "i", "output": "o"},
        "question and input could both be the question",
    ),
    ({"question": "q", "Question": "p", "output": "o"}, "question and Question could both be"),
    ({"response": "r", "gold": "g", "answer": "a"}, "gold and answer could both be the reference"),
    ({"response": "r", "reasoning": "a", "thinking": "b"}, "reasoning and thinking could both be"),
    ({"messages": [], "conversations": []}, "messages and conversations could both be the conv"),
    ({"response": "r", "generations": ["g"]}, "response and generations could both be the answer"),
]


@pytest.mark.parametrize(("line", "said"), AMBIGUOUS)
def test_what_could_mean_two_things_is_refused_with_the_columns_found(
    tmp_path: Path, line: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_lines(tmp_path, line)
    assert said in str(caught.value)
    assert f"(found columns: {', '.join(line)})" in str(caught.value)


def test_an_id_is_of_source_and_question_and_the_same_at_every_reading(tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "source": "s", "generations": ["2", "3"]}
    first, second = read_lines(tmp_path, line), read_lines(tmp_path, line, name="other.jsonl")
    assert first == second
    assert {row["id"] for row in first} == {row_id("s", "1 + 1?")}


def test_the_file_is_the_source_where_the_data_names_none(tmp_path: Path) -> None:
    (row,) = read_lines(tmp_path, {"question": "1 + 1?", "response": "2"})
    assert (row["source"], row["id"]) == ("a.jsonl", row_id("a.jsonl", "1 + 1?"))


def test_answers_to_one_question_on_many_lines_are_numbered(tmp_path: Path) -> None:
    asked = [{"question": "q" if i % 2 else "p", "response": str(i)} for i in range(2 * BATCH + 2)]
    rows = read_lines(tmp_path, *asked)
    numbers = [row["sample"] for row in rows if row["messages"][0]["content"] == "q"]
    assert numbers == list(range(BATCH + 1))


def test_ids_and_numbers_of_the_data_are_kept(tmp_path: Path) -> None:
    rows = read_lines(tmp_path, *({"id": 7, "sample": i, "response": "r"} for i in (3, 1)))
    assert [(row["id"], row["sample"]) for row in rows] == [("7", 3), ("7", 1)]


def test_a_reference_without_a_named_check_is_compared_as_mathematics(tmp_path: Path) -> None:
    rows = read_lines(
        tmp_path,
        {"id": "a", "response": "r", "answer": 42},
        {"id": "b", "response": "r", "answer": None},
        {"id": "c", "response": "r", "answer": True},
    )
    assert [(row["gold"], row["verify"]) for row in rows] == [
        ("42", "math"),
        (None, None),
        (None, None),
    ]
    (row,) = read_lines(tmp_path, {"response": "r", "answer": "x", "verify": "exact"})
    assert row["verify"] == "exact"


def test_what_the_data_says_of_an_answer_is_kept(tmp_path: Path) -> None:
    said = {"finish_reason": "stop", "completion_tokens": 9, "prompt_tokens": "x", "domain": "code"}
    (row,) = read_lines(tmp_path, {"response": "r", "model": "m", **said})
    assert [row[n] for n in ("teacher", *said)] == ["m", "stop", 9, None, "code"]


@pytest.mark.parametrize("name", ["gpt", "chatgpt", "model", "bot", "Assistant", "ASSISTANT", "AI"])
def test_an_answer_is_found_under_any_usual_name_of_who_gave_it(tmp_path: Path, name: str) -> None:
    talk = [{"from": "Human", "value": "1 + 1?"}, {"from": name, "value": "2"}]
    (row,) = read_lines(tmp_path, {"conversations": talk})
    assert (row["messages"], row["response"]) == (ASKED, "2")


def test_one_instruction_about_many_inputs_is_many_questions(tmp_path: Path) -> None:
    rows = read_lines(
        tmp_path, *({"instruction": "Add.", "input": f"1 + {i}", "output": "2"} for i in range(9))
    )
    assert len({row["id"] for row in rows}) == 9


def test_one_last_turn_of_many_conversations_is_many_questions(tmp_path: Path) -> None:
    talks = [[f"1 + {i}?", "What of it?", "Please solve it.", "2"] for i in range(9)]
    lines = [
        {
            "messages": [
                {"role": "user" if i % 2 == 0 else "assistant", "content": text}
                for i, text in enumerate(talk)
            ]
        }
        for talk in talks
    ]
    assert len({row["id"] for row in read_lines(tmp_path, *lines)}) == 9


def test_each_of_many_answers_ended_in_its_own_way(tmp_path: Path) -> None:
    line = {"problem": "q", "generations": ["2", "3", "4"], "finish_reasons": ["stop", "length"]}
    found = [row["finish_reason"] for row in read_lines(tmp_path, line)]
    assert found == ["stop", "length", None]


def test_a_number_that_only_some_lines_have_is_kept(tmp_path: Path) -> None:
    lines = [{"id": "a", "question": "q", "output": "x"}]
    lines += [{"id": "a", "question": "q", "output": "y", "sample": 7}]  # type: ignore[dict-item]
    assert [row["sample"] for row in read_lines(tmp_path, *lines)] == [0, 7]
    with pytest.raises(UserError, match="id 'a' with sample 7 appears twice"):
        read_lines(tmp_path, *lines, lines[1])


def test_texts_that_a_parquet_file_calls_bytes_are_texts(tmp_path: Path) -> None:
    pl.DataFrame({"question": [b"1 + 1?"], "output": [b"2\xff"]}).write_parquet(
        tmp_path / "a.parquet"
    )
    (row,) = read(tmp_path / "a.parquet")
    assert (row["messages"], row["response"]) == (ASKED, "2\ufffd")
