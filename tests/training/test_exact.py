"""Losses and gradients do not depend on how documents share a batch, and leaks are refused."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from transformers.integrations import sdpa_attention

from distill.errors import UserError
from distill.training import attention
from distill.training.canary import leaks, refuse_leaks
from distill.training.quiet import quiet
from distill.training.store import Store
from distill.training.tokens import Example
from tests.builders.one_step import LORA, base_of, expected, one_step, trainer_of

KINDS = ("llama", "qwen2", "mistral")
LENGTHS = (70, 9, 33, 50, 2, 21)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {kind: base_of(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[Store]:
    draw = torch.Generator().manual_seed(1)
    made = Store(folder=tmp_path)
    with quiet():
        made.add(
            Example(
                id=str(number),
                sample=0,
                input_ids=array("i", torch.randint(5, 400, (size,), generator=draw).tolist()),
                prompt_length=size // 3,
            )
            for number, size in enumerate(LENGTHS)
        )
        yield made


# how six documents reach the model
WAYS: dict[str, dict[str, Any]] = {
    "one row": {},
    "one after the other": {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 6},
    "bins": {"packing": True, "max_length": 96},
    "bins, transformers' mask": {
        "packing": True,
        "max_length": 96,
        "model_init_kwargs": {"attn_implementation": "sdpa"},
    },
    "padded": {"model_init_kwargs": {"attn_implementation": "sdpa"}},
    "checkpointed": {"packing": True, "max_length": 96, "gradient_checkpointing": True},
}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_the_documents_apart(
    kind: str, full: bool, bases: dict[str, str], examples: Store, tmp_path: Path
) -> None:
    for way, sft in WAYS.items():
        trainer = trainer_of(bases[kind], examples, tmp_path, lora=None if full else LORA, **sft)
        wanted, slopes = expected(examples, trainer)
        loss, grads = one_step(trainer)
        assert loss == pytest.approx(wanted, rel=1e-5), way
        assert set(grads) == set(slopes), way
        for name, grad in grads.items():
            off = float((grad - slopes[name]).norm() / slopes[name].norm())
            assert off < 1e-4, (way, name)


# adapters that change what comes before and after the layers
HEADS: dict[str, dict[str, Any]] = {
    "a head kept whole": {**LORA, "modules_to_save": ["lm_head"]},
    "both kept whole": {**LORA, "modules_to_save": ["embed_tokens", "lm_head"]},
    "embeddings with an adapter": {**LORA, "target_modules": ["q_proj", "embed_tokens"]},
    "some tokens": {**LORA, "trainable_token_indices": [5, 6, 7]},
    "a bias": {**LORA, "bias": "all"},
}


@pytest.mark.parametrize("lora", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_an_adapter_on_the_head_is_trained_as_any_other(
    kind: str, lora: dict[str, Any], bases: dict[str, str], examples: Store, tmp_path: Path
) -> None:
    trainer = trainer_of(bases[kind], examples, tmp_path, lora=lora)
    wanted, slopes = expected(examples, trainer)
    loss, grads = one_step(trainer)
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert set(grads) == set(slopes)
    for name, grad in grads.items():
        assert float((grad - slopes[name]).norm()) < 1e-4 * float(slopes[name].norm()), name


def chances(query: Any, key: Any, starts: Any, scale: float, window: int) -> tuple[Any, Any]:
    """Of a token of each head to look at another, and the logs of the sums."""
    places = torch.arange(len(query))
    document = torch.bucketize(places, starts[1:-1], right=True)
    behind = places[:, None] - places
    seen = (document[:, None] == document) & (behind >= 0)
    seen &= (behind <= window) | (window < 0)
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    scores = scores.masked_fill(~seen, -torch.inf)
    return scores.softmax(-1), scores.logsumexp(-1)


def kernel(query: Any, key: Any, value: Any, starts: Any, _: int, scale: float, window: int) -> Any:
    """What torch's varlen kernel computes, on a CPU: output, log of sums, random state."""
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    chance, sums = chances(query, key, starts, scale, window)
    out = torch.einsum("hqk,khd->qhd", chance, value)
    return out, sums, torch.zeros(2, dtype=torch.uint64)


def kernel_backward(grad: Any, saved: Any, _: int, scale: float, window: int) -> Any:
    query, key, value, out, sums, starts, _ = saved
    groups = query.shape[1] // key.shape[1]
    wide = [x.repeat_interleave(groups, 1) for x in (key, value)]
    chance, again = chances(query, wide[0], starts, scale, window)
    assert torch.allclose(again, sums)  # what was saved is what the kernel said
    slope = torch.einsum("qhd,khd->hqk", grad, wide[1]) - (grad * out).sum(-1).t()[..., None]
    slope = chance * slope * scale
    of_key = torch.einsum("hqk,qhd->khd", slope, query)
    of_value = torch.einsum("hqk,qhd->khd", chance, grad)
    summed = (x.unflatten(1, (-1, groups)).sum(2) for x in (of_key, of_value))
    return torch.einsum("hqk,khd->qhd", slope, wide[0]), *summed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_the_varlen_operator_is_wired_to_its_kernel(
    kind: str,
    checkpointed: bool,
    bases: dict[str, str],
    examples: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(attention, "_varlen_fits", lambda *_: True)

    def counted(*given: Any) -> Any:
        calls.append(given)
        return kernel(*given)

    monkeypatch.setattr(attention, "_forward", counted)
    monkeypatch.setattr(attention, "_backward", kernel_backward)
    more: dict[str, Any] = {"packing": True, "max_length": 96}
    if checkpointed:
        more |= {
            "gradient_checkpointing": True,
            "gradient_checkpointing_kwargs": {"use_reentrant": False},
        }
    trainer = trainer_of(bases[kind], examples, tmp_path, lora=None, **more)
    wanted, slopes = expected(examples, trainer)
    calls.clear()
    loss, grads = one_step(trainer)
    assert calls
    assert loss == pytest.approx(wanted, rel=1e-5)
    for name, grad in grads.items():
        assert float((grad - slopes[name]).norm() / slopes[name].norm()) < 1e-4, name


def test_the_varlen_operator_has_the_name_that_selective_checkpointing_keeps() -> None:
    assert "flash_attn" in str(attention.flash_attn_varlen()._opoverload)  # what trl looks for


# what is planted: (the batch it makes of the trainer's, the attention)
def all_ones(batch: dict[str, Any]) -> dict[str, Any]:
    return {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}


def one_document(batch: dict[str, Any]) -> dict[str, Any]:
    whole = torch.tensor([0, batch["input_ids"].shape[1]], dtype=torch.int32)
    return {**batch, "cu_seq_lens_q": whole, "cu_seq_lens_k": whole}


def shifted(by: int) -> Any:
    def change(batch: dict[str, Any]) -> dict[str, Any]:
        starts = batch["cu_seq_lens_q"].clone()
        starts[1:-1] += by
        return {**batch, "cu_seq_lens_q": starts, "cu_seq_lens_k": starts}

    return change


PLANTED = {
    "a mask of ones beside packed positions": ("sdpa", all_ones),
    "documents as one": (None, one_document),
    "a start one too late": (None, shifted(1)),
    "a start one too early": (None, shifted(-1)),
}


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", PLANTED)
def test_documents_that_see_each_other_are_refused(
    name: str, bf16: bool, bases: dict[str, str], examples: Store, tmp_path: Path
) -> None:
    way, change = PLANTED[name]
    more = {} if way is None else {"model_init_kwargs": {"attn_implementation": way}}
    sft = {"packing": True, "bf16": bf16, **more}
    trainer = trainer_of(bases["qwen2"], examples, tmp_path, lora=None, **sft)
    refuse_leaks(trainer, examples, said="as built")
    collate = trainer.data_collator
    trainer.data_collator = lambda rows: change(collate(rows))
    with pytest.raises(UserError, match=r"attention: planted: documents of a batch see each other"):
        refuse_leaks(trainer, examples, said="planted")


@pytest.mark.parametrize("bf16", [False, True])
def test_attention_to_the_future_is_refused(
    bf16: bool,
    bases: dict[str, str],
    examples: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = trainer_of(bases["llama"], examples, tmp_path, lora=None, bf16=bf16)

    causal = sdpa_attention.sdpa_attention_forward

    def sees_all(*args: Any, **given: Any) -> Any:
        return causal(*args, **{**given, "is_causal": False})

    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", sees_all)
    assert leaks(trainer, [[*range(9, 29)], [*range(50, 70)], [*range(30, 50)]])[1] > 0.08
    with pytest.raises(UserError, match="a token sees what comes after it"):
        refuse_leaks(trainer, examples, said="planted")
