"""Weights of rows, turns and sets reach loss and gradients as written, however rows are batched."""

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands.train import train
from distill.errors import Exit
from distill.training.quiet import quiet
from distill.training.store import Store
from distill.training.tokens import Example
from tests.builders.models import tiny
from tests.builders.one_step import LORA, base_of, expected, one_step, trainer_of
from tests.builders.recipes import naming

# tokens of each example, its weight, and what is asked in its midst
MADE: tuple[tuple[int, float, tuple[tuple[int, int], ...]], ...] = (
    (70, 0.5, ()),
    (9, 2, ()),
    (33, 1, ((15, 20),)),
    (50, 0.1, ((20, 25), (30, 45))),
    (2, 7.5, ()),
    (21, 1, ()),
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return base_of("llama", tmp_path_factory.mktemp("base"))


def stored(folder: Path, *, all_weigh: float | None = None) -> Store:
    draw = torch.Generator().manual_seed(1)
    made = Store(folder=folder)
    made.add(
        Example(
            id=str(number),
            sample=0,
            input_ids=array("i", torch.randint(5, 400, (size,), generator=draw).tolist()),
            prompt_length=size // 3,
            masked=masked,
            weight=all_weigh or weight,
        )
        for number, (size, weight, masked) in enumerate(MADE)
    )
    return made


SDPA = {"model_init_kwargs": {"attn_implementation": "sdpa"}}
WAYS: dict[str, dict[str, Any]] = {
    "one row": {},
    "padded": SDPA,
    "one after the other": {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 6},
    "padded, accumulated": {
        **SDPA,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 3,
    },
    "bins": {"packing": True, "max_length": 96},
    "bins, transformers' mask": {"packing": True, "max_length": 96, **SDPA},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("full", [False, True])
def test_loss_and_gradients_are_the_weighted_mean_of_the_documents_apart(
    way: str, full: bool, base: str, tmp_path: Path
) -> None:
    examples = stored(tmp_path)
    trainer = trainer_of(base, examples, tmp_path, lora=None if full else LORA, **WAYS[way])
    wanted, slopes = expected(examples, trainer)
    alike(one_step(trainer), (wanted, slopes))


def alike(found: tuple[float, dict[str, Any]], wanted: tuple[float, dict[str, Any]]) -> None:
    """Two losses and their gradients."""
    (loss, grads), (other, slopes) = found, wanted
    assert loss == pytest.approx(other, rel=1e-5)
    assert set(grads) == set(slopes)
    for name, grad in grads.items():
        assert float((grad - slopes[name]).norm()) < 1e-4 * float(slopes[name].norm()), name


@pytest.mark.parametrize(
    ("kind", "sft"),
    [
        ("llama", {"loss_type": "dft"}),
        ("mixtral", {}),  # its routers have a loss of their own
        ("mixtral", {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}),
    ],
)
def test_a_weight_that_all_share_changes_no_kind_of_loss(
    kind: str, sft: dict[str, Any], tmp_path: Path
) -> None:
    base, found = base_of(kind, tmp_path / "base"), []
    for weight in (1.0, 2.0):
        (folder := tmp_path / str(weight)).mkdir()
        trainer = trainer_of(base, stored(folder, all_weigh=weight), folder, lora=None, **sft)
        assert not trainer.projects_here
        found.append(one_step(trainer))
    alike(*found)


def asked(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": f"<think>\nso {text}\n</think>\n\n{text}", **more}


# lines of two files, and of each line what its answers count: the turn's weight by the row's
FIRST: list[Any] = [
    ([asked("1 + 1?"), said("2")], {"weight": 0.5}, [0.5]),
    ([asked("2 + 1?"), said("3")], {}, [1]),
    ([asked("3 + 1?"), said("4")], {"weight": 0}, [0]),
    ([asked("4 + 1?"), said("5", weight=0.25), asked("And 1?"), said("6")], {}, [0.25, 1]),
    ([asked("5 + 1?"), said("6", train=False), asked("And 1?"), said("7")], {}, [0, 1]),
    ([asked("6 + 1?"), said("7", weight=3), asked("And?"), said("8", weight=0)], {}, [3, 0]),
    ([asked("7 + 1?"), said("8"), asked("And?"), said("9", weight=2)], {"weight": 0.5}, [0.5, 1]),
]
OTHER: list[Any] = [
    ([asked("70 + 1?"), said("71")], {"weight": 2}, [2]),
    ([asked("71 + 1?"), said("72", train=True)], {}, [1]),
]


def weighted_mean(base: Path, sets: list[tuple[list[Any], float]]) -> float:
    """Of -log p over the tokens of all answers, by transformers alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(base)
    total = count = 0.0
    for turns, copies, weight, at in answers(sets):
        before, whole = (
            tokenizer.apply_chat_template(
                turns[:end], add_generation_prompt=end == at, return_dict=False
            )
            for end in (at, at + 1)
        )
        ids, start = torch.tensor([whole[:-1]]), len(before)  # without what follows <|im_end|>
        with torch.no_grad():
            logits = model(ids).logits[0, start - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
        total += copies * weight * float(loss)
        count += copies * weight * len(ids[0, start:])
    return total / count


def answers(sets: list[tuple[list[Any], float]]) -> Iterator[tuple[Any, float, float, int]]:
    """The turns of each answer, its set's and its own weight, and which turn it is."""
    for lines, copies in sets:
        for turns, _, weights in lines:
            places = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
            for at, weight in zip(places, weights, strict=True):
                yield turns, copies, weight, at


@pytest.mark.parametrize("sft", ["", "packing: true, max_length: 128,"])
def test_what_files_and_recipe_say_of_weights_is_what_the_first_step_computes(
    sft: str, tmp_path: Path
) -> None:
    with quiet():
        base = tiny(tmp_path / "base", hidden_size=64, max_position_embeddings=512)
    for name, lines in (("a", FIRST), ("b", OTHER)):
        told = [dict(messages=turns, **more) for turns, more, _ in lines]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    recipe = tmp_path / "s.yaml"
    recipe.write_text(
        f"base: {base}\nlora: null\nturns: all\nweights: {{a: 2, b: 3}}\n"
        f"sft: {{{sft} learning_rate: 1e-9, max_steps: 1, per_device_train_batch_size: 99}}\n"
    )
    data = {"a": tmp_path / "a.jsonl", "b": tmp_path / "b.jsonl"}
    out, named = tmp_path / "out", naming(str(recipe), "base")
    assert train(str(recipe), data, out=out, overrides=named) is Exit.DONE
    loss = json.loads((out / "train.jsonl").read_text())["loss"]
    assert loss == pytest.approx(weighted_mean(base, [(FIRST, 2), (OTHER, 3)]), rel=1e-5)
    assert json.loads((out / "train.json").read_text())["skipped"] == {"weight_0": 1}
