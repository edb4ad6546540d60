"""How a student takes a trace, against a direct count over all logits."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import UserError
from distill.local_models import surprise
from distill.local_models.surprise import Text, surprises
from distill.rows import SCHEMA
from distill.signals import score
from distill.signals.settings import Settings
from distill.training.base import open_chat_format
from distill.training.tokens import tokenize
from tests.builders.models import tiny
from tests.builders.rows import row, trace
from tests.builders.templates import CHATML

torch = pytest.importorskip("torch")
LONG = 160  # tokens that the model reads


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random causal model with some opinion on what comes next."""
    folder = tmp_path_factory.mktemp("tiny")
    return tiny(folder, hidden_size=32, max_position_embeddings=LONG, initializer_range=0.5)


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(SCHEMA) | one for one in rows], schema=SCHEMA)


def measured(folder: Path, *rows: dict[str, Any]) -> list[tuple[float | None, float | None, str]]:
    return score.measure(frame(*rows), Settings(score_model=str(folder))).rows()


def by_hand(folder: Path, **values: Any) -> tuple[float, float]:
    """Both numbers from all logits of the tokens that ``train`` would give, each row sorted."""
    chat = open_chat_format(str(folder))
    ((_, example),) = tokenize([trace(**values)], chat).examples
    ids = torch.tensor([example.input_ids.tolist()[:-1]])  # without the end of turn
    start = example.prompt_length
    student = score._student(str(folder)).model
    with torch.inference_mode():
        chances = student(ids).logits[0, start - 1 : -1].double().log_softmax(-1)
    tokens = ids[0, start:]
    order = chances.argsort(dim=-1, descending=True)
    ranks = (order == tokens[:, None]).nonzero()[:, 1] + 1
    nats = -chances.gather(1, tokens[:, None]).sum()
    return float(nats) / len(tokens), float(ranks.clamp(max=100).sum() / nats)


# what a row says, and why it is interesting
ROWS: list[dict[str, Any]] = [
    {},
    {"reasoning": ""},  # a response alone
    {"reasoning": "Two and two.\n\nWell, 4.", "response": "So **4**."},
    {"reasoning": "日本 and ∑"},  # several tokens a letter
    {
        "asked": [
            ("system", "Be brief."),
            ("user", "1 + 1?"),
            ("assistant", "2"),
            ("user", "2 + 1?"),
        ]
    },
]


@pytest.mark.parametrize("values", ROWS)
def test_both_numbers_are_those_of_a_direct_count_over_the_tokens_of_training(
    values: dict[str, Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(surprise._NUMBERS, "cpu", 5 * 400)  # several steps over a short text
    said = dict(values)
    if asked := said.pop("asked", None):
        said["messages"] = [{"role": role, "content": text} for role, text in asked]
    ((nll, fit, reason),) = measured(model, row(1, **said))
    expected = by_hand(model, **values)
    assert reason is None
    assert (nll, fit) == pytest.approx(expected, rel=1e-5)


def test_weights_of_16_bits_are_computed_with_32_on_a_cpu(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny(tmp_path, hidden_size=32, initializer_range=0.5)
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    ((nll, fit, _),) = measured(folder, row(1))
    assert (nll, fit) == pytest.approx(by_hand(folder), rel=1e-5)


def family(name: str, folder: Path, **values: Any) -> Any:
    """A tiny model of another family, beside the usual tokenizer."""
    import transformers

    tiny(folder)
    size = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    common = {"intermediate_size": 32, "num_key_value_heads": 1, "initializer_range": 0.5}
    ends = {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0}
    config = getattr(transformers, f"{name}Config")(**{**size, **common, **ends, **values})
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("Gemma2", {"head_dim": 16, "final_logit_softcapping": 3.0}),  # logits are capped
    ("Cohere", {"logit_scale": 0.125}),  # … multiplied
    ("Granite", {"logits_scaling": 4.0}),  # … divided
    ("GPT2", {"n_embd": 32, "n_layer": 1, "n_head": 2}),  # its parts have other names
    ("Mixtral", {"num_local_experts": 2}),  # its body says more than states
    ("Qwen2", {"tie_word_embeddings": True}),
]


@pytest.mark.parametrize(("name", "values"), FAMILIES)
def test_logits_are_the_models_own_whatever_it_does_to_them(
    name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    folder = family(name, tmp_path, **values)
    ((nll, fit, _),) = measured(folder, row(1))
    assert (nll, fit) == pytest.approx(by_hand(folder), rel=1e-4)


def test_a_value_depends_neither_on_order_nor_on_neighbours(model: Path) -> None:
    rows = [row(n, reasoning="I add one. " * (n % 7)) for n in range(12)]
    together = measured(model, *rows)
    assert together[::-1] == measured(model, *rows[::-1])
    assert together == [measured(model, one)[0] for one in rows]


def test_texts_of_one_batch_have_the_values_that_each_has_alone(model: Path) -> None:
    student = score._student(str(model)).model
    texts = [Text(ids=[n % 300 for n in range(3, 9 + 5 * n)], start=2) for n in range(9)]
    alone = surprises(student, texts, at_once=1)
    padded = surprises(student, texts, at_once=128)
    assert [one.nats for one in padded] == pytest.approx([one.nats for one in alone], rel=1e-4)
    assert [one.ranks for one in padded] == pytest.approx([one.ranks for one in alone], rel=1e-4)


def test_batches_hold_texts_of_about_one_length_and_no_more_than_they_may() -> None:
    texts = [Text(ids=range(2 + (37 * n) % 100), start=1) for n in range(200)]
    batches = list(surprise._batches(texts, 400))
    sizes = [[len(texts[n].ids) for n in batch] for batch in batches]
    assert sorted(n for batch in batches for n in batch) == list(range(200))
    assert all(len(size) * max(size) <= 400 for size in sizes)
    assert sum(len(size) * max(size) for size in sizes) < 1.05 * sum(map(sum, sizes))


def test_equal_tokens_share_the_best_rank(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny(tmp_path)
    flat = AutoModelForCausalLM.from_pretrained(folder)
    torch.nn.init.zeros_(flat.lm_head.weight)  # every token is as likely as any other
    flat.save_pretrained(folder)
    ((nll, fit, _),) = measured(folder, row(1))
    size = flat.config.vocab_size
    assert nll == pytest.approx(torch.tensor(size).log().item(), rel=1e-6)
    assert fit == pytest.approx(1 / torch.tensor(size).log().item(), rel=1e-6)


# what a row says, and why it has no score
UNSCORED: list[tuple[dict[str, Any], str]] = [
    ({"reasoning": "", "response": " \n"}, "empty"),
    ({"reasoning": None, "response": None}, "empty"),
    ({"reasoning": "I add one. " * 500}, "too_long"),
    ({"messages": [{"role": "user", "content": "Why? " * 500}]}, "too_long"),
    ({"response": "4<|im_end|>"}, "special_token"),
    ({"messages": [{"role": "user", "content": "<|endoftext|>?"}]}, "special_token"),
    ({"messages": [{"role": "user", "content": None}]}, "template"),
]


@pytest.mark.parametrize(("values", "reason"), UNSCORED)
def test_what_cannot_be_scored_has_a_reason_and_no_number(
    values: dict[str, Any], reason: str, model: Path
) -> None:
    found = measured(model, row(1), row(2, **values), row(3))
    assert found[1] == (None, None, reason)
    assert found[::2] == measured(model, row(1), row(3))


def test_a_trace_that_just_fits_is_read_whole(model: Path) -> None:
    student = score._student(str(model))
    said = next(n for n in range(LONG) if score._text(student, None, "", "a " * n) == "too_long")
    ((nll, fit, reason),) = measured(model, row(1, messages=None, reasoning="", response="a " * 9))
    assert nll is not None and fit is not None and reason is None  # noqa: PT018
    whole = score._text(student, None, "", "a " * (said - 1))
    assert isinstance(whole, Text)
    assert LONG - 2 <= len(whole.ids) <= LONG


def test_a_model_whose_weights_are_broken_gives_no_number(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny(tmp_path)
    broken = AutoModelForCausalLM.from_pretrained(folder)
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    broken.save_pretrained(folder)
    assert measured(folder, row(1)) == [(None, None, "not_finite")]


TODAY = CHATML.replace("{% for", "{{ strftime_now('%Y') }}{% for", 1)


def test_a_template_with_a_date_in_it_is_read_as_in_training(tmp_path: Path) -> None:
    folder = tiny(tmp_path, hidden_size=32, initializer_range=0.5)
    (folder / "chat_template.jinja").write_text(TODAY, encoding="utf-8")
    ((nll, fit, _),) = measured(folder, row(1))
    assert (nll, fit) == pytest.approx(by_hand(folder), rel=1e-5)


def test_a_thought_that_the_template_opens_is_not_opened_twice(model: Path) -> None:
    student = score._student(str(model))
    opening = CHATML.replace("<|im_start|>assistant\\n", "<|im_start|>assistant\\n<think>\\n")
    if opening == CHATML:
        opening = CHATML + "{% if add_generation_prompt %}<think>\n{% endif %}"
    before, student.tokenizer.chat_template = student.tokenizer.chat_template, opening
    asked = [{"role": "user", "content": "1 + 1?"}]
    try:
        texts = [score._text(student, asked, thought, "2") for thought in ("I add.", "")]
    finally:
        student.tokenizer.chat_template = before
    for text in texts:
        assert isinstance(text, Text)
        assert student.tokenizer.decode(text.ids).count("<think>") == 1
        assert student.tokenizer.decode(text.ids).count("</think>") == 1


def test_a_base_without_a_chat_template_reads_the_question_as_it_is(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "chat_template.jinja").unlink()
    ((nll, fit, reason),) = measured(folder, row(1))
    assert nll is not None and fit is not None and reason is None  # noqa: PT018


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "none such"}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match="not a causal language model"):
        measured(tmp_path, row(1))
