"""What is held out while a student is trained: the same for everybody, measured, and used."""

import errno
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands.train import train
from distill.errors import Exit, UserError
from distill.recipes.load import load
from distill.recipes.students import StudentRecipe
from distill.training import checkpoints, run, validation
from distill.training.quiet import quiet
from distill.training.sets import open_sets
from distill.training.validation import Validating
from tests.builders.models import tiny
from tests.builders.recipes import naming

LORA, FULL = "lora: {r: 4, lora_alpha: 32}", "lora: null"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny(tmp_path_factory.mktemp("tiny"), hidden_size=64, max_position_embeddings=512)


def row(i: int, sample: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "id": f"r{i}",
        "sample": sample,
        "messages": [{"role": "user", "content": f"What is {i} + 1?"}],
        "reasoning": f"{i} and one" + " and so on" * sample,
        "response": str(i + 1),
        **values,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def recipe(folder: Path, base: Path | str, *more: str, sft: str = "max_steps: 8") -> str:
    path = folder / "s.yaml"
    path.write_text(
        "\n".join([f"base: {base}", *more])
        + "\nsft: {learning_rate: 1e-2, per_device_train_batch_size: 2, "
        f"gradient_checkpointing: false, {sft}}}\n"
    )
    return str(path)


def held(folder: Path, text: str, *data: Path) -> tuple[list[str], list[str]]:
    """(question and thought) of the rows to train on, and of those that are held out."""
    name = recipe(folder, "a/b", text)
    sets = open_sets(
        load(name, StudentRecipe), data, out=folder / "no", limit=None, unfiltered=False
    )
    sides: tuple[list[str], list[str]] = ([], [])
    for part in sets.parts():
        texts = part.frame["messages"].list.last().struct["content"] + part.frame["reasoning"]
        sides[part.held].extend(texts.to_list())
    return sides


def questions(texts: list[str]) -> set[str]:
    return {text.partition("?")[0] for text in texts}


def test_all_answers_of_a_prompt_are_on_one_side_whatever_order_and_file(tmp_path: Path) -> None:
    rows = [row(i, sample) for i in range(60) for sample in range(3)]
    one = write(tmp_path / "one.jsonl", rows)
    mixed = write(tmp_path / "mixed.jsonl", rows[::-7] + [r for r in rows if r not in rows[::-7]])
    halves = [write(tmp_path / f"{n}.jsonl", rows[n::2]) for n in range(2)]
    kept, out = held(tmp_path, "validation: {share: 0.2}", one)
    assert not questions(kept) & questions(out)
    assert len(kept) + len(out) == 180
    assert 18 <= len(out) <= 60
    for data in ([mixed], halves, halves[::-1]):
        again = held(tmp_path, "validation: {share: 0.2}", *data)
        assert (sorted(again[0]), sorted(again[1])) == (sorted(kept), sorted(out))
    fewer = held(tmp_path, "validation: {share: 0.2}", write(tmp_path / "f.jsonl", rows[:90]))
    assert questions(fewer[1]) <= questions(out)  # more data moves nothing to the other side


@pytest.mark.parametrize(
    "other",
    [
        {"id": "another", "source": "elsewhere"},  # the same question under another id
        {"messages": [{"role": "user", "content": "Answer: 5 plus 1?"}]},  # another template
        {"messages": [{"role": "system", "content": "Be brief."}, *row(5)["messages"]], "id": "s"},
        {"messages": [{"role": "user", "content": " what  is 5 + 1?\n"}], "id": "spaced"},
        {
            "messages": [{"role": "user", "content": "What\xa0is\u200b 5 + 1?\ufeff"}],
            "id": "unseen",
        },
        {"messages": [{"role": "user", "content": "What is \uff15 + 1?"}], "id": "wide"},
    ],
)
def test_the_same_question_or_id_is_the_same_prompt(tmp_path: Path, other: dict[str, Any]) -> None:
    first = write(tmp_path / "a.jsonl", [row(i) for i in range(12)])
    second = write(tmp_path / "b.jsonl", [row(5, 1) | other])
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        kept, out = held(tmp_path, f"validation: {{share: {share}}}", first, second)
        mine = [text for text in (*kept, *out) if "5 and one" in text]
        assert len(mine) == 2
        assert set(mine) <= set(kept) or set(mine) <= set(out)


def test_so_many_prompts_are_held_out_as_the_recipe_says(tmp_path: Path) -> None:
    data = write(tmp_path / "a.jsonl", [row(i, sample) for i in range(20) for sample in range(2)])
    kept, out = held(tmp_path, "validation: {prompts: 3}", data)
    assert len(questions(out)) == 3
    assert (len(out), len(kept)) == (6, 34)


def test_a_file_of_its_own_is_held_out_and_its_prompts_are_not_trained_on(tmp_path: Path) -> None:
    data = write(tmp_path / "a.jsonl", [row(i, sample) for i in range(9) for sample in range(2)])
    write(tmp_path / "v.jsonl", [row(3, 5, id="other"), row(70)])
    kept, out = held(tmp_path, "validation: {data: v.jsonl}", data)
    assert questions(out) == {"What is 3 + 1", "What is 70 + 1"}
    assert len(kept) == 16
    write(tmp_path / "v.jsonl", [row(i) for i in range(9)])
    with pytest.raises(UserError, match=r"validation\.data: has every prompt"):
        held(tmp_path, "validation: {data: v.jsonl}", data)
    with pytest.raises(UserError, match=r"validation\.data: gone\.jsonl: no such file"):
        held(tmp_path, "validation: {data: gone.jsonl}", data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("share: 0.000001", r"validation\.share: 1e-06: holds out none of the 10 .*valid: (\S+)$"),
        ("share: 0.999999", r"validation\.share: .*: holds out all of the 10 .*valid: (\S+)$"),
        ("prompts: 10", r"validation\.prompts: 10: holds out all of the 10 prompts.*: (9)$"),
        ("prompts: 900", r"validation\.prompts: 900: .*valid: (9)$"),
    ],
)
def test_holding_out_nothing_or_everything_names_a_value_that_works(
    tmp_path: Path, text: str, message: str
) -> None:
    data = write(tmp_path / "a.jsonl", [row(i) for i in range(10)])
    with pytest.raises(UserError, match=message) as caught:
        held(tmp_path, f"validation: {{{text}}}", data)
    assert "\n" not in str(caught.value)
    key, valid = text.partition(":")[0], str(caught.value).rpartition(" ")[2]
    kept, out = held(tmp_path, f"validation: {{{key}: {valid}}}", data)
    assert kept
    assert out
    alone = write(tmp_path / "one.jsonl", [row(1, sample) for sample in range(5)])
    with pytest.raises(UserError, match="answer one prompt"):
        held(tmp_path, f"validation: {{{text}}}", alone)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", r"validation: needs share:, prompts: or data:"),
        ("{share: 0.1, prompts: 5}", r"share: 0\.1 and prompts: 5 exclude each other"),
        ("{share: 2}", r"validation\.share: 2 input should be less than 1"),
        ("{share: 0}", r"validation\.share: 0 input should be greater than 0"),
        ("{data: ''}", r"validation\.data: '' string should have at least 1 character"),
        ("{share: yes}", r"validation\.share: .*truth value"),
        ("{prompts: 0}", r"validation\.prompts: 0 "),
        ("{share: 0.1, patience: 0}", r"validation\.patience: 0 "),
        ("{share: 0.1, every: 5}", r"validation\.every: no such key; did you mean 'every_steps'"),
        ("0.02", r"validation: 0\.02 "),
    ],
)
def test_a_wrong_validation_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(recipe(tmp_path, "a/b", f"validation: {text}"), StudentRecipe)
    assert "\n" not in str(caught.value)


def fit(folder: Path, base: Path, name: str, *more: str, **options: Any) -> dict[str, Any]:
    """train.json of a student of twelve prompts, in the folder of that name."""
    data = write(folder / "a.jsonl", [row(i, i % 3) for i in range(12)])
    text = recipe(folder, base, *more, **options)
    assert train(text, data, out=folder / name, overrides=naming(text, "base")) is Exit.DONE
    found: dict[str, Any] = json.loads((folder / name / "train.json").read_text())
    return found


def loss_of(student: Path, texts: list[str], rows: list[dict[str, Any]]) -> float:
    """The mean over all trained tokens of the rows with these texts, computed by hand."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(student)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(student)
    total, count = 0.0, 0
    for each in rows:
        if each["messages"][0]["content"] + each["reasoning"] not in texts:
            continue
        asked = tokenizer.apply_chat_template(
            each["messages"], add_generation_prompt=True, tokenize=False
        )
        answer = f"<think>\n{each['reasoning']}\n</think>\n\n{each['response']}<|im_end|>"
        before, after = (tokenizer(t, add_special_tokens=False).input_ids for t in (asked, answer))
        ids = torch.tensor([[*before, *after]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(before) - 1 : -1]
        total += float(
            torch.nn.functional.cross_entropy(logits, ids[0, len(before) :], reduction="sum")
        )
        count += len(after)
    return total / count


@pytest.mark.parametrize("method", [LORA, FULL])
@pytest.mark.parametrize("more", ["", ", packing: true, max_length: 200"])
def test_the_eval_loss_is_the_mean_over_the_tokens_of_what_is_saved(
    base: Path, tmp_path: Path, method: str, more: str, caplog: pytest.LogCaptureFixture
) -> None:
    validation = "validation: {prompts: 4, every_steps: 3}"
    with caplog.at_level(logging.INFO, "distill"):
        made = fit(tmp_path, base, "out", method, validation, sft=f"max_steps: 8{more}")
    told = made["validation"]
    assert (made["examples"], told["examples"]) == (8, 4)
    assert (told["best_step"], told["saved_step"], told["stopped"]) == (8, 8, "end")
    assert told["loss"]["first"] > told["loss"]["best"] == told["loss"]["last"]
    for step in (3, 6, 8):  # the last one too
        assert f"step {step}: eval loss" in caplog.text
    rows = [row(i, i % 3) for i in range(12)]
    _, out = held(tmp_path, validation, tmp_path / "a.jsonl")
    assert told["loss"]["last"] == pytest.approx(loss_of(tmp_path / "out", out, rows), rel=1e-3)
    assert not list((tmp_path / "out").rglob("best-*"))


def weights(student: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = student.glob("*.safetensors")
    return load_file(file)


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(first[name], second[name]) for name in first)


# A rate at which the loss on what is held out soon gets worse.
WILD = "max_steps: 40, lr_scheduler_type: constant, max_grad_norm: 0"
METHODS = pytest.mark.parametrize(("method", "rate"), [(LORA, "5e-2"), (FULL, "1e-2")])


@METHODS
def test_patience_stops_and_the_best_weights_are_saved(
    base: Path, tmp_path: Path, method: str, rate: str
) -> None:
    asked = "validation: {prompts: 4, every_steps: 2, patience: 2"
    made = overfit(tmp_path, base, "best", method, asked + "}", rate)
    told = made["validation"]
    best = told["best_step"]
    assert (told["stopped"], made["steps"], told["saved_step"]) == ("patience", best + 4, best)
    assert told["loss"]["best"] < told["loss"]["last"]
    last = overfit(tmp_path, base, "last", method, asked + ", keep_best: false}", rate)
    assert last["validation"]["saved_step"] == last["steps"] == best + 4
    assert not same(tmp_path / "best", tmp_path / "last")
    _, out = held(tmp_path, asked + "}", tmp_path / "a.jsonl")
    rows = [row(i, i % 3) for i in range(12)]
    assert told["loss"]["best"] == pytest.approx(loss_of(tmp_path / "best", out, rows), rel=1e-3)


def overfit(
    folder: Path, base: Path, name: str, method: str, asked: str, rate: str, sft: str = WILD
) -> dict[str, Any]:
    data = write(folder / "a.jsonl", [row(i, i % 3) for i in range(12)])
    text = recipe(folder, base, method, asked, sft=sft)
    sets = [*naming(text, "base"), f"sft.learning_rate={rate}"]
    assert train(text, data, out=folder / name, overrides=sets) is Exit.DONE
    found: dict[str, Any] = json.loads((folder / name / "train.json").read_text())
    return found


class Killed(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize(
    ("method", "rate", "evaluations"),
    [(LORA, "5e-2", 1), (LORA, "5e-2", 4), (LORA, "5e-2", "save"), (FULL, "1e-2", 3)],
)
def test_a_training_that_was_killed_keeps_the_same_best_and_stops_at_the_same_step(
    base: Path,
    tmp_path: Path,
    method: str,
    rate: str,
    evaluations: int | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = "validation: {prompts: 4, every_steps: 2, patience: 3}"
    sft = f"{WILD}, save_strategy: steps, save_steps: 3"
    place = base.parent / f"whole-{rate}"  # the same for all that are killed
    if not place.is_dir():
        place.mkdir()
        overfit(place, base, "whole", method, asked, rate, sft)
    whole = json.loads((place / "whole" / "train.json").read_text())
    decide, seen = Validating.decide, []

    def dying(self: Validating, control: Any) -> None:
        decide(self, control)
        seen.append(1)
        if len(seen) == evaluations:
            raise Killed

    with monkeypatch.context() as patch:
        if evaluations == "save":
            patch.setattr(run, "save", raising(Killed()))
        else:
            patch.setattr(Validating, "decide", dying)
        with pytest.raises(Killed):
            overfit(tmp_path, base, "again", method, asked, rate, sft)
    again = overfit(tmp_path, base, "again", method, asked, rate, sft)
    assert again["validation"] == whole["validation"]
    assert again["steps"] == whole["steps"]
    assert same(place / "whole", tmp_path / "again")
    lines = (tmp_path / "again" / "train.jsonl").read_text().splitlines()
    losses = {line["step"]: line.get("eval_loss") for line in map(json.loads, lines)}
    assert losses[2] == whole["validation"]["loss"]["first"]
    assert losses[3] is None


def raising(error: BaseException) -> Any:
    def stop(*_: Any, **__: Any) -> None:
        raise error

    return stop


def gone(_: Path) -> None:
    """Nothing was kept."""


def cut(best: Path) -> None:
    file = best / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


def no_room(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (gone, "the weights of step {}: gone; the last ones are saved"),
        (cut, "the weights of step {}: adapter_model.safetensors is damaged; the last ones"),
        (no_room, "the weights of step {}, the best so far, could not be kept: there is no room"),
    ],
)
def test_without_the_best_weights_the_last_are_saved(
    fault: Callable[[Path], None],
    said: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked, real = "validation: {prompts: 4, every_steps: 2, patience: 2}", checkpoints.guard

    def guard(folder: Path) -> None:
        real(folder)
        fault(folder)

    monkeypatch.setattr(validation, "guard", guard)
    if fault is gone:
        monkeypatch.setattr(Validating, "_keep", lambda *_: None)
    made = overfit(tmp_path, base, "out", LORA, asked, "5e-2")
    told = made["validation"]
    assert told["saved_step"] == made["steps"] > told["best_step"]
    assert said.format(told["best_step"]) in caplog.text
