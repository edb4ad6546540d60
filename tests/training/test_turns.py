"""Which answers of a conversation are trained, what is seen of earlier thoughts, and weights."""

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from distill.errors import UserError
from distill.files.beside import NAME, Beside
from distill.files.read import frames
from distill.rows import from_frame
from distill.training.base import ChatFormat, open_chat_format
from distill.training.proof import Proof
from distill.training.tokens import MASKED, Tokenized, tokenize
from tests.builders.models import chat_format_of, tokenizer_files
from tests.builders.rows import jsonl, row
from tests.builders.templates import CHATML, FORGETS_EARLIER

FIELD = CHATML.replace(  # Qwen3's field for the thought, as it writes it
    "{{ m.content }}",
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}",
)
TALK = [
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "<think>\none\n</think>\n\n2"},
    {"role": "user", "content": "2 + 2?"},
]
APART = [TALK[0], {"role": "assistant", "content": "2", "reasoning_content": "one"}, TALK[2]]
ANSWER = {"role": "assistant", "content": "<think>two</think>4"}


def taught(folder: Path, line: dict[str, Any], template: str = CHATML, **given: Any) -> Tokenized:
    """One line of a file as proved tokens."""
    chat = chat_format_of("lossy", template)
    (table,) = frames(jsonl(folder / "rows.jsonl", line), beside=True)
    beside = [Beside.read(one) for one in table[NAME]]
    found = tokenize(from_frame(table), chat, beside=beside, **given)
    Proof(chat=chat).add(found)
    assert found.rows + found.skipped.total() == table.height
    return found


def texts(found: Tokenized) -> list[list[str]]:
    """The trained texts of each sequence."""
    chat = chat_format_of("lossy")
    return [
        [chat.tokenizer.decode(one.input_ids[a:b].tolist()) for a, b in one.answers]
        for _, one in found.examples
    ]


FIRST = "<think>\none\n</think>\n\n2<|im_end|>"
SECOND = "<think>\ntwo\n</think>\n\n4<|im_end|>"


@pytest.mark.parametrize("line", [{"messages": [*TALK, ANSWER]}, {"messages": [*APART, ANSWER]}])
def test_only_the_last_answer_is_trained_unless_all_are_asked_for(
    tmp_path: Path, line: dict[str, Any]
) -> None:
    assert texts(taught(tmp_path, line)) == [[SECOND]]
    assert {text for one in texts(taught(tmp_path, line, turns="all")) for text in one} == {
        FIRST,
        SECOND,
    }


def test_answers_share_a_sequence_where_inference_would_see_the_same(tmp_path: Path) -> None:
    line = {"messages": [*TALK, ANSWER]}
    (_, kept), *more = taught(tmp_path, line, turns="all").examples
    assert not more
    trained = [label for label in kept.labels if label != MASKED]
    assert chat_format_of("lossy").tokenizer.decode(trained) == FIRST + SECOND
    apart = taught(tmp_path, line, FORGETS_EARLIER, turns="all")  # the second prompt forgets
    assert texts(apart) == [[FIRST], [SECOND]]


@pytest.mark.parametrize(
    ("messages", "template", "history", "seen"),
    [
        (TALK, CHATML, "template", True),
        (TALK, CHATML, "strip", False),
        (TALK, CHATML, "keep", True),
        (TALK, FORGETS_EARLIER, "template", False),
        (APART, CHATML, "template", False),  # it does not know the field, nor will it then
        (APART, FIELD, "template", True),
        (APART, CHATML, "keep", True),
        (APART, FIELD, "strip", False),
    ],
)
def test_earlier_thoughts_are_seen_as_the_recipe_says(
    tmp_path: Path, messages: Any, template: str, history: str, seen: bool
) -> None:
    (asked, _), *_ = taught(
        tmp_path, {"messages": [*messages, ANSWER]}, template, history=history
    ).examples
    assert ("one" in asked.prompt) is seen
    assert "\n2<|im_end|>" in asked.prompt


def test_to_keep_what_the_template_deletes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="history: keep: the chat template deletes"):
        taught(tmp_path, {"messages": [*TALK, ANSWER]}, FORGETS_EARLIER, history="keep")


@pytest.mark.parametrize(
    ("first", "last", "trained"),
    [
        ({}, {}, [FIRST, SECOND]),
        ({"weight": 0}, {}, [SECOND]),  # OpenAI
        ({"train": False}, {"train": True}, [SECOND]),  # axolotl
        ({"loss": False}, {}, [SECOND]),  # ms-swift
        ({"train": "false"}, {"train": "True"}, [SECOND]),
        ({}, {"weight": 0}, [FIRST]),
        ({"weight": 0}, {"weight": 0}, []),
    ],
)
def test_turns_without_weight_are_only_seen(
    tmp_path: Path, first: dict[str, Any], last: dict[str, Any], trained: list[str]
) -> None:
    line = {"messages": [TALK[0], {**TALK[1], **first}, TALK[2], {**ANSWER, **last}]}
    found = taught(tmp_path, line, turns="all")
    assert [text for one in texts(found) for text in one] == trained
    assert found.skipped == ({} if trained else {"weight_0": 1})


def test_turns_of_different_weight_are_in_sequences_of_their_own(tmp_path: Path) -> None:
    line = {"messages": [TALK[0], {**TALK[1], "weight": 0.5}, TALK[2], ANSWER], "weight": 0.5}
    found = taught(tmp_path, line, turns="all")
    assert [one.weight for _, one in found.examples] == [0.25, 0.5]


IMAGE = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "x"}}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"messages": [*TALK, ANSWER], "tools": [{"name": "f"}]}, "tools"),
        ({"messages": [*TALK, ANSWER], "tools": '[{"name": "f"}]'}, "tools"),
        ({"messages": [*TALK, ANSWER], "tools": []}, None),
        ({"messages": [*TALK, ANSWER], "tools": "[]"}, None),
        ({"messages": [TALK[0], CALL, {"role": "tool", "content": "2"}, ANSWER]}, "tools"),
        ({"messages": [TALK[0], {"role": "tool", "content": "2"}, ANSWER]}, "tools"),
        ({"messages": [{"role": "user", "content": IMAGE}, ANSWER]}, "media"),
        ({"messages": [*TALK, ANSWER], "images": ["a.png"]}, "media"),
        ({"messages": [*TALK, ANSWER], "image": None}, None),
        ({"messages": [*TALK, ANSWER], "weight": 0}, "weight_0"),
        ({"messages": [*TALK, ANSWER], "weight": 1.0}, None),
        ({"messages": [*TALK, ANSWER], "weight": ""}, None),  # of a CSV
        ({"messages": [*TALK, ANSWER], "weight": math.nan}, None),  # as pandas writes no value
        ({"messages": [*TALK, ANSWER], "weight": "high"}, "wrong_weight"),
        ({"messages": [*TALK, ANSWER], "weight": -1}, "wrong_weight"),
        ({"messages": [*TALK, ANSWER], "weight": 1e39}, "wrong_weight"),  # infinite in float32
        ({"messages": [*TALK, ANSWER], "weight": 1e-300}, "wrong_weight"),
        ({"messages": [*TALK, {**ANSWER, "weight": [1]}]}, "wrong_weight"),
        ({"messages": [{**TALK[0], "weight": -1}, *TALK[1:], ANSWER]}, None),  # it is not trained
        (
            {
                "conversations": [
                    {"from": "human", "value": "1?"},
                    {"from": "function_call", "value": "{}"},
                    {"from": "observation", "value": "2"},
                    {"from": "gpt", "value": "2"},
                ]
            },
            "tools",
        ),
        (row(1, tools=[{"name": "f"}]), "tools"),
        (row(1, weight=0), "weight_0"),
        (row(1, images=["a"]), "media"),
    ],
)
def test_more_than_text_and_no_weight_are_counted_out_with_a_reason(
    tmp_path: Path, line: dict[str, Any], reason: str | None
) -> None:
    found = taught(tmp_path, line)
    assert found.skipped == ({reason: 1} if reason else {})


def test_parquet_of_our_own_schema_says_the_same(tmp_path: Path) -> None:
    import polars as pl

    weights = (0.0, 1.0, None, math.nan, math.inf, -2.0)
    lines = [row(i, weight=weight) for i, weight in enumerate(weights)]
    path = tmp_path / "rows.parquet"
    pl.DataFrame(lines).write_parquet(path)
    (table,) = frames(path, beside=True)
    found = [Beside.read(one) for one in table[NAME]]
    assert [one.weight for one in found[:4]] == [0, 1, 1, 1]
    assert [one.holds for one in found] == [None] * 4 + ["wrong_weight"] * 2
    (plain,) = frames(path)
    assert NAME not in plain.columns


def named(folder: Path, templates: dict[str, str]) -> ChatFormat:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_files(folder))
    (folder / "chat_template.jinja").unlink()
    tokenizer.chat_template = templates
    tokenizer.save_pretrained(folder)
    return open_chat_format(str(folder))


def test_of_several_templates_the_default_is_used_and_all_are_saved(tmp_path: Path) -> None:
    chat = named(tmp_path / "a", {"default": CHATML, "tool_use": "{{ 1 }}", "rag": "{{ 2 }}"})
    assert chat.template == CHATML
    assert chat.prompt(TALK).endswith("2 + 2?<|im_end|>\n<|im_start|>assistant\n")
    chat.tokenizer.save_pretrained(tmp_path / "b")
    again = open_chat_format(str(tmp_path / "b"))
    assert again.prompt(TALK) == chat.prompt(TALK)
    assert set(again.tokenizer.chat_template) == {"default", "tool_use", "rag"}
    with pytest.raises(UserError, match="none is the default: "):
        named(tmp_path / "c", {"tool_use": CHATML, "rag": CHATML})


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("<｜User｜>", True),  # not marked as special
        ("<｜Assistant｜>", True),
        ("<|EOT|>", True),
        ("<｜tool▁calls▁begin｜>", True),
        ("<think>", False),
        ("｜User｜", False),
    ],
)
def test_deepseeks_turns_are_control_tokens_and_its_pad_is_found(text: str, control: bool) -> None:
    chat = chat_format_of("deepseek")
    assert (chat.special.search(f"a {text} b") is not None) is control
    assert chat.tokenizer.pad_token == "<｜▁pad▁｜>"
