"""``distill train`` with the real libraries on a tiny model: what is trained, saved and refused."""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands import train as command
from distill.errors import Exit, UserError
from distill.files.read import frames
from distill.local_models.open import open_model
from distill.local_models.threads import choose
from distill.recipes.students import StudentRecipe
from distill.recipes.teachers import Serve
from distill.rows import from_frame
from distill.training import cores
from distill.training.base import open_chat_format
from distill.training.fit import arguments, build_trainer, fit
from distill.training.fits import apply, plan_here
from distill.training.options import checked
from distill.training.quiet import quiet
from distill.training.tokens import MASKED, tokenize
from tests.builders.models import tiny
from tests.builders.recipes import naming
from tests.builders.rows import jsonl, sum_row
from tests.builders.templates import COUNTED, DATED, FORGETFUL, OPENED, OWN_SYSTEM
from tests.builders.tokens import store

LORA = "lora: {r: 4, lora_alpha: 32}"
FULL = "lora: null"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny(tmp_path_factory.mktemp("tiny"), hidden_size=64, max_position_embeddings=512)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    long = sum_row(0, id="long", reasoning="and one " * 400)
    hostile = sum_row(0, id="hostile", response="<|im_end|>")
    path = tmp_path_factory.mktemp("data") / "kept.jsonl"
    return jsonl(path, *map(sum_row, range(6)), long, hostile)


def write(
    folder: Path, base: Path | str, lora: str = LORA, sft: str = "max_steps: 2", more: str = ""
) -> str:
    path = folder / "s.yaml"
    path.write_text(
        f"base: {base}\n{lora}\n{more}\n"
        "sft: {learning_rate: 1e-2, per_device_train_batch_size: 4, gradient_checkpointing: false, "
        f"{sft}}}\n"
    )
    return str(path)


def train(recipe: str, data: Path, *, overrides: Sequence[str] = (), **options: Any) -> Exit:
    """As the user starts it, who names the base: it lies elsewhere than the recipe."""
    named = [*naming(recipe, "base"), *overrides]
    return command.train(recipe, data, overrides=named, **options)


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "train.json").read_text())
    return found


def weights(out: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = out.glob("*.safetensors")
    return load_file(file)


def answer(out: Path, question: str) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(out)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        told = model.generate(**prompt, max_new_tokens=40, do_sample=False)
    return str(tokenizer.decode(told[0, prompt["input_ids"].shape[1] :]))


def documents(batch: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The tokens and the labels of each document of a row."""
    sizes = batch["cu_seq_lens_q"].diff().tolist()
    return batch["input_ids"][0].split(sizes), batch["labels"][0].split(sizes)


def test_our_labels_reach_the_loss_unchanged(base: Path, data: Path, tmp_path: Path) -> None:
    recipe = StudentRecipe(
        base=str(base),
        lora={"r": 4},
        sft={"per_device_train_batch_size": 3, "max_steps": 2, "gradient_checkpointing": False},
    )
    options = checked(recipe, tmp_path / "s.yaml")
    chat = open_chat_format(str(base))
    rows = [row for frame in frames(data) for row in from_frame(frame)]
    examples = [one for _, one in tokenize(rows, chat, max_length=200).examples]
    with quiet(), store() as stored:
        stored.add(examples[:2])
        stored.add(examples[2:])  # two shards become one set
        args = arguments(options, tmp_path)
        trainer = build_trainer(str(base), options, chat, stored, arguments=args)
        batches = list(trainer.get_train_dataloader())
        trainer.train()
        model = transformers.AutoModelForCausalLM.from_pretrained(base)
        first = batches[0]  # an adapter starts as nothing: the base's loss is the first one
        logits = [model(input_ids=one[None]).logits[0, :-1] for one in documents(first)[0]]
    found = set()
    for batch in batches:
        assert "attention_mask" not in batch  # there is no padding
        for ids, labels in zip(*documents(batch), strict=True):
            found.add((tuple(ids.tolist()), tuple(labels.tolist())))
    assert found == {(tuple(one.input_ids), tuple(one.labels)) for one in examples}
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    expected = torch.nn.functional.cross_entropy(
        torch.cat(logits),
        torch.cat([labels[1:] for labels in documents(first)[1]]),
        ignore_index=MASKED,
    )
    assert losses[0] == pytest.approx(expected.item(), rel=1e-3)


def test_a_fully_trained_student_says_what_it_was_taught_and_stops(
    base: Path, data: Path, tmp_path: Path
) -> None:
    recipe = write(tmp_path, base, FULL, "max_steps: 120")
    out = tmp_path / "out"
    assert train(recipe, data, out=out, limit=1) is Exit.DONE
    assert answer(out, "What is 0 + 1?") == "<think>\n0 and one\n</think>\n\n1<|im_end|>"
    ends = json.loads((out / "generation_config.json").read_text())["eos_token_id"]
    assert ends == [2, 0]  # the end of turn first, then the base's own
    made = manifest(out)
    assert made["loss"]["last"] < 1 < 5 < made["loss"]["first"]
    assert (made["examples"], made["steps"], made["device"]) == (1, 120, "cpu")
    assert json.loads((out / "proof.json").read_text())["examples"] == 1


def test_an_adapter_loads_by_its_folder_from_anywhere(
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(base.parent)
    out = tmp_path / "out"
    train(write(tmp_path, base.name, sft="max_steps: 6"), data, out=out)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")  # the libraries' warnings and bars are kept quiet
    monkeypatch.chdir(tmp_path)
    ids = torch.tensor([[1, 2, 3]])
    with quiet():
        taught = transformers.AutoModelForCausalLM.from_pretrained(out)(ids).logits
        untaught = transformers.AutoModelForCausalLM.from_pretrained(base)(ids).logits
    assert not torch.allclose(taught, untaught, atol=1e-3)
    assert transformers.AutoTokenizer.from_pretrained(out).eos_token == "<|im_end|>"
    left = {path.name for path in out.iterdir()}
    assert not left & {"training_args.bin", "README.md", "checkpoints", ".student.part"}


def test_a_second_run_is_done_and_another_recipe_needs_force(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe, out = write(tmp_path, base, FULL), tmp_path / "out"
    train(recipe, data, out=out)
    (out / "scores.json").write_text("{}")  # somebody else's file
    before = (out / "train.json").stat().st_mtime_ns
    with caplog.at_level(logging.INFO, logger="distill"):
        assert train(recipe, data, out=out) is Exit.DONE
    assert "already done" in caplog.text
    assert (out / "train.json").stat().st_mtime_ns == before
    other = write(tmp_path, base, LORA)
    with pytest.raises(UserError, match=r"another recipe.*--force"):
        train(other, data, out=out)
    with pytest.raises(UserError, match=r"another recipe.*--force"):
        train(recipe, data, out=out, limit=3)
    train(other, data, out=out, force=True)
    made = manifest(out)
    assert made["skipped"] == {"too_long": 1, "special_token": 1}
    assert made["examples"] == json.loads((out / "proof.json").read_text())["examples"] == 6
    assert [path.name for path in out.glob("*.safetensors")] == ["adapter_model.safetensors"]
    assert not (out / "config.json").exists()
    assert (out / "scores.json").exists()


def test_the_same_recipe_gives_the_same_student(base: Path, data: Path, tmp_path: Path) -> None:
    recipe = write(tmp_path, base)
    for name in ("a", "b"):
        train(recipe, data, out=tmp_path / name)
    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)


def threads_while_training(trainer: Any, out: Path, recipe: StudentRecipe) -> list[int]:
    """torch's threads in each step."""
    seen = []

    class Seen(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            seen.append(torch.get_num_threads())

    trainer.add_callback(Seen())
    fit(trainer, out=out, fingerprint="0123456789abcdef", recipe=recipe)
    return seen


@pytest.mark.parametrize(
    ("asked", "busy", "expected"),
    [
        (None, [0, 0, 0, 0], [4, 4, 4]),
        (None, [3, 3, 3, 3], [1, 1, 1]),
        (None, [0, 3, 3, 3], [4, 1, 1]),  # fewer from the next step on
        (None, [3, 0, 0, 0], [1, 1, 4]),  # more after two looks
        (2, [3, 0, 3, 0], [2, 2, 2]),  # as the recipe says, whatever others do
    ],
)
def test_training_keeps_to_the_cores_that_are_free(
    asked: int | None,
    busy: list[int],
    expected: list[int],
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    looks = iter([choose(cores=4, taken=taken) for taken in busy])
    monkeypatch.setattr(cores, "LOOK_S", 0.0)
    monkeypatch.setattr(cores, "free", lambda *_: next(looks))
    if asked is None:
        monkeypatch.setattr(cores, "chosen", lambda *_, **__: next(looks))
    was = torch.get_num_threads()
    with quiet(), store() as examples:
        sft = {"max_steps": 3, "use_cpu": True}
        recipe = StudentRecipe(base=str(base), lora=None, sft=sft, threads=asked)
        options = checked(recipe, tmp_path / "s.yaml")
        chat = open_chat_format(open_model(str(base), at="base"), chat_template=None)
        for frame in frames(data, limit=4):
            found = tokenize(from_frame(frame), chat, prompt=recipe.prompt, max_length=512)
            examples.add(example for _, example in found.examples)
        args = arguments(options, tmp_path)
        trainer = build_trainer(str(base), options, chat, examples, arguments=args)
        assert threads_while_training(trainer, tmp_path, recipe) == expected
    assert torch.get_num_threads() == was


def test_threads_are_about_the_machine_and_in_no_fingerprint() -> None:
    for recipe in (StudentRecipe(base="b"), Serve(model="m")):
        assert recipe.model_copy(update={"threads": 3}).model_dump() == recipe.model_dump()


def test_a_dry_run_counts_and_writes_nothing(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = tmp_path / "bare"  # no weights: they are not needed
    shutil.copytree(base, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    recipe = write(tmp_path, bare, sft="num_train_epochs: 3, max_length: 200")
    with caplog.at_level(logging.INFO, logger="distill"):
        assert train(recipe, data, out=tmp_path / "out", dry_run=True) is Exit.DONE
    assert "6 examples" in caplog.text
    assert "6 steps" in caplog.text
    assert (
        "too_long 1, special_token 1" in caplog.text or "special_token 1, too_long 1" in caplog.text
    )
    assert not (tmp_path / "out").exists()


def test_the_share_of_examples_without_a_thought_is_said(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = write(tmp_path, base, LORA)
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("".join(json.dumps(x | {"reasoning": ""}) + "\n" for x in lines[:1]))
    mixed.write_text(mixed.read_text() + "".join(json.dumps(x) + "\n" for x in lines[1:]))
    for given, said in ((data, []), (mixed, ["train: 1 of 6 examples (16.7 %)"])):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "distill"):
            train(recipe, given, out=tmp_path / "s", dry_run=True)
        found = [line for line in caplog.messages if "have no thought" in line]
        assert [part for part in said if part in "".join(found)] == said
        assert len(found) == len(said)


def test_the_announced_steps_are_the_steps_taken(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sft = "num_train_epochs: 3, gradient_accumulation_steps: 2, max_length: 200"
    recipe = write(tmp_path, base, sft=sft)
    with caplog.at_level(logging.INFO, logger="distill"):
        train(recipe, data, out=tmp_path / "out")
    assert f"{manifest(tmp_path / 'out')['steps']} steps" in caplog.text


@pytest.mark.parametrize("checkpointing", [True, False])
def test_what_the_plan_chooses_is_what_the_trainer_does(
    checkpointing: bool, base: Path, data: Path, tmp_path: Path
) -> None:
    few: dict[str, Any] = {"max_steps": 1, "save_strategy": "no"}
    recipe = StudentRecipe(base=str(base), lora={"r": 4}, sft=few, traces_per_step=6)
    options, chat = checked(recipe, tmp_path / "s.yaml"), open_chat_format(str(base))
    rows = [row for frame in frames(data) for row in from_frame(frame)]
    with quiet(), store() as stored:
        stored.add(one for _, one in tokenize(rows, chat, max_length=200).examples)
        args = arguments(options, tmp_path)
        plan = plan_here(recipe, options, open_model(str(base), at="base"))
        assert plan is not None
        chosen = {**plan.chosen, "gradient_checkpointing": checkpointing}
        apply(replace(plan, chosen=chosen), args)
        trainer = build_trainer(str(base), options, chat, stored, arguments=args)
        trainer.train()
    flags = {getattr(one, "gradient_checkpointing", None) for one in trainer.model.modules()}
    assert flags - {None} == {checkpointing}
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 6


def test_packing_trains_every_token_of_every_example(
    base: Path, data: Path, tmp_path: Path
) -> None:
    options = checked(
        StudentRecipe(base=str(base), lora={"r": 4}, sft={"packing": True, "max_length": 200}),
        tmp_path / "s.yaml",
    )
    chat = open_chat_format(str(base))
    rows = [row for frame in frames(data) for row in from_frame(frame)]
    with quiet(), store() as stored:
        stored.add(one for _, one in tokenize(rows, chat, max_length=200).examples)
        args = arguments(options, tmp_path)
        trainer = build_trainer(str(base), options, chat, stored, arguments=args)
        bins = list(trainer.train_dataset)
        labels = [label for one in bins for row in one["labels"] for label in row]
    assert len(bins) < stored.examples
    assert sum(label != MASKED for label in labels) == stored.trained_tokens
    assert len(labels) == stored.tokens


def test_a_loss_that_is_no_number_stops_and_leaves_no_student(
    base: Path, data: Path, tmp_path: Path
) -> None:
    sft = "max_steps: 20, max_grad_norm: 0, optim: sgd"
    recipe = write(tmp_path, base, FULL, sft)
    with pytest.raises(UserError, match=r"the loss is nan at step .*learning_rate"):
        train(recipe, data, out=tmp_path / "out", overrides=["sft.learning_rate=1e30"])
    assert not (tmp_path / "out" / "train.json").exists()
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_no_proof_no_training(base: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "my.jinja").write_text(COUNTED)
    recipe = write(tmp_path, base, more="chat_template: my.jinja")
    said = "row r0 sample 0: the template proof fails: the template writes .*2 turns"
    with pytest.raises(UserError, match=said):
        train(recipe, data, out=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock"}


@pytest.mark.parametrize(
    ("template", "opened"),
    [(OWN_SYSTEM, ""), (DATED, ""), (FORGETFUL, ""), (OPENED, "<think>\n")],
    ids=["own system", "dated", "forgetful", "opened"],
)
def test_a_template_that_asks_as_at_inference_is_trained(
    base: Path, data: Path, tmp_path: Path, template: str, opened: str
) -> None:
    (tmp_path / "my.jinja").write_text(template)
    recipe = write(tmp_path, base, sft="max_steps: 1", more="chat_template: my.jinja")
    assert train(recipe, data, out=tmp_path / "out") is Exit.DONE
    shown = json.loads((tmp_path / "out" / "proof.json").read_text())["worked_example"]
    assert opened + shown["trained_text"] == "<think>\n0 and one\n</think>\n\n1<|im_end|>"
    served = open_chat_format(str(tmp_path / "out"))  # as whoever serves the student will ask
    asked = served.prompt([{"role": "user", "content": "What is 0 + 1?"}])
    assert shown["masked_text"] == asked


@pytest.mark.parametrize(
    ("more", "sft", "message"),
    [
        ("chat_template: gone.jinja", "seed: 1", r"s\.yaml: chat_template: .*gone\.jinja"),
        ("", "max_length: 4096", r"sft\.max_length: 4096: .* has 512 positions"),
        ("", "max_length: 10", r"kept\.jsonl: no row can be trained on: "),
        ("", "lr_scheduler_type: cosin", r"refused by the training libraries: .*cosin"),
        ("", "max_sequence: 10", r"s\.yaml: sft\.max_sequence: no such option"),
    ],
)
def test_a_mistake_is_one_line_before_any_training(
    base: Path, data: Path, tmp_path: Path, more: str, sft: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        train(write(tmp_path, base, sft=sft, more=more), data, out=tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "tokenizer.model", "adapter_config.json", "merges.txt"],
)
@pytest.mark.parametrize("manifest", ["none", "train.json", "proof.json"])
def test_a_model_of_somebody_elses_is_refused_and_left_alone(
    data: Path, tmp_path: Path, name: str, manifest: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "empty").mkdir()  # a base that cannot be loaded: so it was not tried
    (out / name).write_text("years of work")
    if manifest != "none":
        (out / manifest).write_text('{"by": "somebody"}')
    before = {path: path.read_text() for path in out.iterdir()}
    with pytest.raises(UserError, match="was not made by distill train"):
        train(write(tmp_path, tmp_path / "empty"), data, out=out, force=True)
    assert {path: path.read_text() for path in out.iterdir()} == before


def test_the_bases_own_folder_is_no_place_for_its_student(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "first"  # an earlier student of ours, to be trained on
    own.mkdir()
    for name, text in {"train.json": '{"fingerprint": "a"}', "config.json": "{}"}.items():
        (own / name).write_text(text)
    (tmp_path / "link").symlink_to(own, target_is_directory=True)
    for out in (own, tmp_path / "link"):
        with pytest.raises(UserError, match="is the base model's own folder"):
            train(write(tmp_path, own), data, out=out, force=True)
    assert {path.name for path in own.iterdir()} == {"train.json", "config.json"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.json", '{"fingerprint": "a"}'),
        ("proof.json", '{"proved": true, "checks": {}}'),
        (".student.unfinished", ""),
    ],
)
def test_what_an_earlier_training_left_is_no_obstacle(
    data: Path, tmp_path: Path, name: str, text: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "empty").mkdir()
    (out / "config.json").write_text("{}")
    (out / name).write_text(text)
    with pytest.raises(UserError, match=r"empty: cannot be loaded"):  # got as far as the base
        train(write(tmp_path, tmp_path / "empty"), data, out=out, force=True)


def test_an_unfinished_training_is_marked_until_a_student_is_there(
    base: Path, data: Path, tmp_path: Path
) -> None:
    recipe, out = write(tmp_path, base, FULL, "max_steps: 2"), tmp_path / "out"
    (out / "tokenizers").mkdir(parents=True)  # a folder of the user's: no file of a student
    wild = ["learning_rate=1e30", "max_grad_norm=0", "optim=sgd", "max_steps=20"]
    with pytest.raises(UserError, match="the loss is nan"):
        train(recipe, data, out=out, overrides=[f"sft.{value}" for value in wild])
    assert (out / ".student.unfinished").exists()
    train(recipe, data, out=out)
    assert not (out / ".student.unfinished").exists()
    assert (out / "train.json").exists()
    assert (out / "tokenizers").is_dir()


def test_a_base_that_is_nowhere_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"base: .*empty: cannot be loaded") as caught:
        train(write(tmp_path, tmp_path / "empty"), data, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="did you mean 'smollm2-135m-instruct'"):
        train(write(tmp_path, "smollm-135m-instruct"), data, out=tmp_path / "out")


def test_four_bits_without_bitsandbytes_names_the_extra(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.training.model.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e .\.\[quant\]"):
        train(write(tmp_path, base, more="quantize: nf4"), data, out=tmp_path / "out")
