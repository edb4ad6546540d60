"""What a student is trained on: tokens, mask, and the proof over them."""

import json
import unicodedata
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers")

from distill.errors import UserError
from distill.rows import Row
from distill.training.base import ChatFormat, open_chat_format
from distill.training.proof import CHECKS, Proof
from distill.training.tokens import MASKED, Tokenized, tokenize
from tests.builders.models import Kind, chat_format_of
from tests.builders.rows import trace
from tests.builders.templates import (
    CHATML,
    COUNTED,
    DATED,
    FORGETFUL,
    FORGETS_EARLIER,
    OPENED,
    OWN_SYSTEM,
)


@pytest.fixture(params=["composing", "lossy", "deepseek"])
def chat(request: pytest.FixtureRequest) -> ChatFormat:
    return chat_format_of(request.param)


def chatml(template: str | None = None) -> ChatFormat:
    return chat_format_of("lossy", template)


def row(
    reasoning: str = "two and two", response: str = "4", *turns: tuple[str, str], id: str = "r0"
) -> Row:
    asked = turns or (("user", "What is 2 + 2?"),)
    return trace(id, asked=asked, reasoning=reasoning, response=response)


def prove(rows: list[Row], chat: ChatFormat) -> tuple[Tokenized, Proof]:
    found = tokenize(rows, chat)
    proof = Proof(chat=chat)
    proof.add(found)
    return found, proof


def test_the_prompt_is_masked_and_the_answer_is_trained_with_one_end_of_turn(
    chat: ChatFormat,
) -> None:
    found, _ = prove([row()], chat)
    example = found.examples[0][1]
    tokenizer = chat.tokenizer
    inference = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 2 + 2?"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(example.input_ids[: len(inference)]) == inference
    assert list(example.labels[: len(inference)]) == [MASKED] * len(inference)
    trained = list(example.labels[len(inference) :])
    end = tokenizer.eos_token
    assert tokenizer.decode(trained) == f"<think>\ntwo and two\n</think>\n\n4{end}"
    assert trained == list(example.input_ids[len(inference) :])


ANY_TEXT = st.text(
    st.one_of(
        st.sampled_from("<>/\\\n\t {}|_$#\u00a0\u200d\ufeff🙂é\u0301中ﬁ"),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(reasoning=ANY_TEXT, response=ANY_TEXT)
def test_reasoning_and_response_survive_verbatim(
    chat: ChatFormat, reasoning: str, response: str
) -> None:
    found = tokenize([row(reasoning, response)], chat)
    assert len(found.examples) + found.skipped.total() == 1
    if not found.examples:
        return
    Proof(chat=chat).add(found)  # raises if a character is lost
    asked, example = found.examples[0]
    text = chat.tokenizer.decode(list(example.input_ids[example.prompt_length : -1]))
    assert text in (asked.completion, unicodedata.normalize("NFC", asked.completion))


def test_a_letter_that_the_tokenizer_cannot_write_costs_its_row_and_no_other() -> None:
    found, _ = prove([row("a \U00040000", "4"), row()], chatml())
    assert found.skipped == {"lossy": 1}
    assert len(found.examples) == 1


@pytest.mark.parametrize(
    ("name", "text", "skipped"),
    [
        ("composing", "<|im_end|>", True),
        ("composing", "a <|endoftext|> b", True),
        ("lossy", "<|im_start|>system", True),
        ("lossy", "<|im_end", False),  # not the whole token: plain text
        ("composing", "<|eot_id|>", False),  # another family's token is plain text here
        ("deepseek", "<｜end▁of▁sentence｜>", True),
        ("deepseek", "<|im_end|>", False),
    ],
)
def test_text_that_is_a_control_token_is_never_trained(
    name: Kind, text: str, skipped: bool
) -> None:
    spoken = chat_format_of(name)
    for hostile in (row(text, "4"), row("r", f"4 {text}"), row("r", "4", ("user", text))):
        found, _ = prove([hostile], spoken)
        assert found.skipped == ({"special_token": 1} if skipped else {})


def test_an_over_long_trace_is_counted_and_never_cut(chat: ChatFormat) -> None:
    whole = tokenize([row("one two " * 50)], chat).examples[0][1]
    size = len(whole.input_ids)
    fits = tokenize([row("one two " * 50)], chat, max_length=size)
    over = tokenize([row("one two " * 50), row()], chat, max_length=size - 1)
    assert fits.examples[0][1].input_ids == whole.input_ids
    assert over.skipped == {"too_long": 1}
    assert [len(one.input_ids) < size for _, one in over.examples] == [True]


def test_rows_that_cannot_be_trained_on_are_counted_by_reason(chat: ChatFormat) -> None:
    rows = [
        replace(row(), messages=None),
        row("thought", "  \n"),
        row("so </think> and", "4"),
        row("r", "4", ("system", "be brief")),
        row(),
    ]
    found = tokenize(rows, chat, prompt="last_user")
    assert found.skipped == {
        "no_messages": 1,
        "empty_response": 1,
        "closes_twice": 1,
        "no_user_turn": 1,
    }
    assert len(found.examples) == 1


def test_last_user_asks_only_the_last_user_turn(chat: ChatFormat) -> None:
    shots = [("system", "s"), ("user", "1 + 1?"), ("assistant", "2"), ("user", "2 + 2?")]
    whole = tokenize([row("r", "4", *shots)], chat).examples[0][0]
    last = tokenize([row("r", "4", *shots)], chat, prompt="last_user").examples[0][0]
    assert "1 + 1?" in whole.prompt
    assert "1 + 1?" not in last.prompt
    assert last.turns == ({"role": "user", "content": "2 + 2?"},)


THOUGHT = "<think>\nearlier\n</think>\n\nso 2"


@pytest.mark.parametrize(
    ("template", "earlier"), [(CHATML, True), (FORGETFUL, False), (FORGETS_EARLIER, False)]
)
def test_a_template_that_deletes_reasoning_deletes_none_that_is_trained(
    template: str, earlier: bool
) -> None:
    """Of turns before, it is deleted as it will be at inference."""
    turns = [("user", "1 + 1?"), ("assistant", THOUGHT), ("user", "2 + 2?")]
    _, proof = prove([row("kept in full", "4", *turns)], chatml(template))
    shown = proof.values()["worked_example"]
    assert shown["trained_text"] == "<think>\nkept in full\n</think>\n\n4<|im_end|>"
    assert ("earlier" in shown["masked_text"]) is earlier
    assert "so 2<|im_end|>" in shown["masked_text"]


def test_a_prompt_that_training_and_inference_write_differently_is_refused() -> None:
    with pytest.raises(UserError, match=r"row odd sample 0: .*same prefix.*'.*2 turns"):
        prove([row(id="odd")], chatml(COUNTED))
    with pytest.raises(UserError, match="same prefix"):  # more than a thought is opened
        prove([row(id="odd")], chatml(OPENED.replace("<think>\n", "<think>So")))


@pytest.mark.parametrize(
    ("opening", "answer", "unthinking"),
    [
        ("<think>\n", "two and two\n</think>\n\n4", "\n</think>\n\n4"),  # R1-Distill, QwQ
        ("<think>", "\ntwo and two\n</think>\n\n4", "\n\n</think>\n\n4"),  # DeepSeek V3.1
        ("<think>\n\n", "two and two\n</think>\n\n4", "</think>\n\n4"),
        ("", "<think>\ntwo and two\n</think>\n\n4", "4"),
    ],
)
@pytest.mark.parametrize("forgets", [False, True])
def test_a_thought_that_the_prompt_opens_goes_on_where_it_stands(
    opening: str, answer: str, unthinking: str, forgets: bool
) -> None:
    whole = (
        OPENED if not forgets else FORGETFUL.replace("assistant\n{% e", "assistant\n<think>\n{% e")
    )
    spoken = chatml(whole.replace("<think>\n", opening))
    found, proof = prove([row(), row("", "4", id="r1")], spoken)
    ends = [one.completion for one, _ in found.examples]
    assert ends == [answer, unthinking]
    assert proof.values()["worked_example"]["masked_text"].endswith(f"assistant\n{opening}")
    assert proof.values()["worked_example"]["trained_text"] == f"{answer}<|im_end|>"
    (_, example), _ = found.examples
    inference = spoken.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 2 + 2?"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    after = spoken.tokenizer(answer, add_special_tokens=False)["input_ids"]
    assert example.input_ids.tolist() == [*inference, *after, spoken.end_of_turn]


# What a template does with some turns, and the template as it is otherwise.
REFUSES = {
    "its own refusal": "{{ raise_exception('no system') }}",
    "an unknown value": "{{ a.b.c }}",
    "a wrong type": "{{ 1 + 'a' }}",
    "a division by zero": "{{ 1 / 0 }}",
    "too large a range": "{% for i in range(10**9) %}{% endfor %}",
    "a missing item": "{{ [][0].b }}",
}


@pytest.mark.parametrize("does", REFUSES.values(), ids=REFUSES)
def test_turns_that_a_template_fails_on_are_counted_and_end_nothing(does: str) -> None:
    spoken = chatml(f"{{% if messages[0].role == 'system' %}}{does}{{% endif %}}{CHATML}")
    found, _ = prove([row("r", "4", ("system", "s"), ("user", "q")), row()], spoken)
    assert found.skipped == {"template": 1}
    with pytest.raises(UserError, match="fails on a user turn and an answer: ") as caught:
        chatml(f"{does}{CHATML}")
    assert "\n" not in str(caught.value)


def test_an_answer_that_a_template_does_not_allow_after_the_turns_is_counted() -> None:
    """Gemma's and Mistral's want users and assistants in turn."""
    spoken = chatml(
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('must alternate') }}{% endif %}{% endfor %}" + CHATML
    )
    found, _ = prove([row("r", "4", ("user", "q"), ("assistant", "begun")), row()], spoken)
    assert found.skipped == {"template": 1}


def test_a_prompt_that_closes_the_thought_leaves_thoughts_out() -> None:
    """Qwen3's with enable_thinking=False."""
    spoken = chatml(OPENED.replace("<think>\n", "<think>\n\n</think>\n\n"))
    found, _ = prove([row(), row("", "4", id="r1")], spoken)
    assert found.skipped == {"prompt_closes_thought": 1}
    assert [one.completion for one, _ in found.examples] == ["4"]


def test_a_template_without_one_token_at_the_end_of_a_turn_is_refused() -> None:
    with pytest.raises(UserError, match="ends an answer with 'End of turn"):
        chatml(CHATML.replace("<|im_end|>", "End of turn"))
    with pytest.raises(UserError, match="leaves the answer out"):
        chatml("{{ messages[0].content }}<|im_end|>")


def test_the_end_of_turn_is_the_templates_and_not_the_tokenizers() -> None:
    """A base model's eos_token (here <|im_end|>) may differ from what its chat ends with."""
    spoken = chatml(CHATML.replace("<|im_end|>", "<file_sep>"))
    assert spoken.tokenizer.eos_token == "<file_sep>"
    found, _ = prove([row()], spoken)
    assert found.examples[0][1].input_ids[-1] == spoken.tokenizer.convert_tokens_to_ids(
        "<file_sep>"
    )


@pytest.mark.parametrize("kind", ["composing", "lossy"])
def test_padding_is_not_the_end_of_turn_where_another_token_will_do(kind: Kind) -> None:
    chat = chat_format_of(kind)
    assert chat.tokenizer.pad_token_id != chat.end_of_turn
    assert chat.tokenizer.pad_token == "<|endoftext|>"


def test_a_date_in_the_template_is_pinned_and_saved_pinned(tmp_path: Path) -> None:
    spoken = chatml(DATED)
    found, _ = prove([row()], spoken)
    assert "Today: 26 Jul 2024<|im_end|>" in found.examples[0][0].prompt
    spoken.tokenizer.save_pretrained(tmp_path)
    assert open_chat_format(str(tmp_path)).prompt(
        [{"role": "user", "content": "1"}]
    ) == spoken.prompt([{"role": "user", "content": "1"}])


@pytest.mark.parametrize("given", [None, "Be brief."])
def test_a_templates_own_system_prompt_is_kept_as_at_inference(given: str | None) -> None:
    """Where the row has none; and one of the row's takes its place."""
    turns = [("user", "1 + 1?")] if given is None else [("system", given), ("user", "1 + 1?")]
    found, _ = prove([row("r", "2", *turns)], chatml(OWN_SYSTEM))
    prompt = found.examples[0][0].prompt
    assert ("You are Tiny" in prompt) is (given is None)
    assert prompt.count("<|im_start|>system") == 1


def _drop_end(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return ids[:-1], start


def _two_ends(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return ids + ids[-1:], start


def _unmask(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return ids, start - 1


def _mask_think(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return ids, start + 1


def _bos(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return array("i", [1]) + ids, start + 1


def _lost_word(ids: "array[int]", start: int) -> tuple["array[int]", int]:
    return ids[: start + 4] + ids[start + 5 :], start


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (_drop_end, "end_of_turn"),
        (_two_ends, "end_of_turn"),
        (_unmask, "prefix"),
        (_mask_think, "prefix"),
        (_bos, "prefix"),
        (_lost_word, "verbatim"),
    ],
)
def test_the_proof_sees_every_damage(
    damage: Callable[["array[int]", int], tuple["array[int]", int]], check: str
) -> None:
    spoken = chatml()
    found = tokenize([row(id="hurt")], spoken)
    asked, example = found.examples[0]
    ids, start = damage(example.input_ids, example.prompt_length)
    hurt = replace(example, input_ids=ids, prompt_length=start)
    with pytest.raises(UserError) as caught:
        Proof(chat=spoken).add(replace(found, examples=[(asked, hurt)]))
    assert "row hurt sample 0" in str(caught.value)
    assert CHECKS[check] in str(caught.value)


def test_the_proof_is_json_with_an_example_for_people(chat: ChatFormat) -> None:
    _, proof = prove([row(), row("", "5", id="r1")], chat)
    spoken, values = chat.tokenizer, json.loads(json.dumps(proof.values()))
    assert values["proved"] is True
    assert values["examples"] == 2
    shown = values["worked_example"]
    assert shown["trained_text"] == f"<think>\ntwo and two\n</think>\n\n4{spoken.eos_token}"
    assert shown["masked_text"] == chat.prompt([{"role": "user", "content": "What is 2 + 2?"}])
    assert len(shown["labels"]) == len(shown["input_ids"])


def test_a_row_without_reasoning_is_its_response_alone(chat: ChatFormat) -> None:
    found, _ = prove([row("", "4")], chat)
    assert found.examples[0][0].completion == "4"
