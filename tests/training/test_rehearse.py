"""What would fail at the save fails at the start; students and adapters are trained on."""

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands import train as command
from distill.errors import Exit, UserError
from distill.local_models.merge import merge
from distill.publishing.student import student_card
from distill.training import rehearse, run, save
from distill.training.quiet import quiet
from tests.builders.models import tiny
from tests.builders.recipes import naming
from tests.builders.rows import jsonl, sum_row
from tests.builders.templates import CHATML

LORA = "{r: 4, lora_alpha: 32}"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def made(folder: Path, **config: Any) -> Path:
    with quiet():
        return tiny(folder, hidden_size=64, max_position_embeddings=512, **config)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return jsonl(tmp_path_factory.mktemp("data") / "kept.jsonl", *map(sum_row, range(4)))


def train(
    folder: Path,
    base: Path | str,
    data: Path,
    lora: str = LORA,
    sft: str = "max_steps: 1",
    sets: Sequence[str] = (),
    **options: Any,
) -> Exit:
    path = folder / "s.yaml"
    path.write_text(
        f"base: {base}\nlora: {lora}\nsft: {{gradient_checkpointing: false, "
        f"{sft}{'' if 'learning_rate' in sft else ', learning_rate: 1e-2'}}}\n"
    )
    return command.train(str(path), data, overrides=[*naming(str(path), "base"), *sets], **options)


def told(out: Path, name: str = "train.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / name).read_text())
    return found


def change(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | values))


def adapter(out: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = load_file(out / "adapter_model.safetensors")
    return found


@pytest.mark.parametrize(
    ("lora", "sft", "said"),
    [
        ("{r: 4, target_modules: [query_k]}", "seed: 1", "query_k: no module.*one of: .*q_proj"),
        ("{r: 4, modules_to_save: [lm_hed]}", "seed: 1", "lm_hed: no module.*'lm_head'"),
        ("{r: 4, target_modules: [lm_head]}", "seed: 1", "changes the head.*does not train"),
        ("{r: 4, trainable_token_indices: [9999]}", "seed: 1", "9999: the base has 286 tokens"),
        (LORA, "optim: lomo", r"sft\.optim: lomo: .*lomo_optim"),
        (LORA, "lr_scheduler_kwargs: {min_lr_rate: 0.1}", "refused by linear: .*min_lr_rate"),
        (LORA, "lr_scheduler_type: cosine_with_min_lr", "refused by cosine_with_min_lr"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_training_would_miss_later_is_said_first(
    lora: str, sft: str, said: str, dry_run: bool, base: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        train(tmp_path, base, data, lora, sft, out=tmp_path / "out", dry_run=dry_run)
    assert "\n" not in str(caught.value)
    left = {path.name for path in (tmp_path / "out").glob("*")}
    assert left == (set() if dry_run else {".lock"})


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(data: Path, tmp_path: Path) -> None:
    base = made(tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<a>", "<b>"])
    tokenizer.save_pretrained(base)
    with pytest.raises(UserError, match=r"2 more tokens than the 286 .*'<a>', '<b>'"):
        train(tmp_path, base, data, out=tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("lora", [LORA, "null", "{r: 4, target_modules: [q_proj, embed_tokens]}"])
@pytest.mark.parametrize("small", [True, False])
def test_an_empty_student_is_saved_loaded_and_thrown_away(
    lora: str,
    small: bool,
    base: Path,
    data: Path,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[set[str]] = []
    real = rehearse._read

    def seen(empty: Any, student: Any, folder: Path) -> None:
        kept.append({path.name for path in folder.iterdir()})
        real(empty, student, folder)

    monkeypatch.setattr(rehearse, "_read", seen)
    monkeypatch.setattr(rehearse, "SMALL", rehearse.SMALL if small else 0)
    train(tmp_path, base, data, lora, out=tmp_path / "out", dry_run=True)
    assert not list(temporary.glob(".distill*"))
    assert not (tmp_path / "out").exists()
    common = {"generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    own = {"config.json"} | ({"model.safetensors"} if small else set())
    own = own if lora == "null" else {"adapter_config.json", "adapter_model.safetensors"}
    assert kept == [common | {"chat_template.jinja"} | own]


@pytest.mark.parametrize("lora", [LORA, "null"])
def test_what_cannot_be_loaded_again_is_found_before_training(
    lora: str, base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = save.complete

    def forgetful(part: Path, *rest: Any, **named: Any) -> None:
        real(part, *rest, **named)
        (part / "chat_template.jinja").write_text(CHATML.replace("<|im_end|>", "<|im_start|>"))

    monkeypatch.setattr(rehearse, "complete", forgetful)
    for dry_run in (True, False):
        with pytest.raises(UserError, match="not loaded again: its tokenizer or chat template"):
            train(tmp_path, base, data, lora, out=tmp_path / "out", dry_run=dry_run)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock"}


def test_a_killed_rehearsal_is_cleared_away_and_a_living_one_is_not(
    base: Path, data: Path, tmp_path: Path, temporary: Path
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    out = tmp_path / "out"
    for place in (out, temporary):
        for pid in (dead.pid, 1):
            (place / f".distill-rehearsal-{pid}-x").mkdir(parents=True)
    train(tmp_path, base, data, out=out, dry_run=True)
    train(tmp_path, base, data, out=out)
    for place in (out, temporary):
        left = {path.name for path in place.glob(".distill-rehearsal-*")}
        assert left == {".distill-rehearsal-1-x"}


def test_a_disk_that_is_too_small_is_said_first(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"out: the student needs 0\.0 GiB, but 0\.0 GiB are free"):
        train(tmp_path, base, data, out=tmp_path / "out", dry_run=True)


def test_a_disk_that_fills_up_costs_no_training(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = tmp_path / "out", save.save
    train(tmp_path, base, data, "null", out=out)
    before = (out / "model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(*given: Any, **named: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            real(*given, **named)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(run, "save", full)
    sft = "max_steps: 2, save_strategy: steps, save_steps: 1"
    with pytest.raises(UserError, match=r"cannot be saved: there is no room.*next: make room"):
        train(tmp_path, base, data, "null", sft, out=out, force=True)
    assert (out / "model.safetensors").read_bytes() == before
    assert not (out / ".student.part").exists()
    assert list((out / "checkpoints").glob("*/checkpoint-*"))
    monkeypatch.setattr(run, "save", real)
    assert train(tmp_path, base, data, "null", sft, out=out) is Exit.DONE
    assert told(out)["steps"] == 2


@pytest.mark.parametrize("sampling", [{"temperature": 0.6}, {"num_return_sequences": 2}])
@pytest.mark.parametrize("lora", [LORA, "null"])
def test_a_base_whose_generation_config_is_refused_can_be_trained(
    sampling: dict[str, Any], lora: str, data: Path, tmp_path: Path
) -> None:
    base, out = made(tmp_path / "base"), tmp_path / "out"
    change(base, "generation_config.json", **sampling)
    change(base, "config.json", output_attentions=True, return_dict=False)
    assert train(tmp_path, base, data, lora, out=out) is Exit.DONE
    found = told(out, "generation_config.json")
    assert found["eos_token_id"] == [2, 0]
    assert found.get("do_sample") == ("temperature" in sampling or None)


@pytest.mark.parametrize(
    ("ends", "template", "expected"),
    [
        ([0, 1], CHATML, "<|im_end|>"),
        (None, CHATML.replace("<|im_end|>", "<file_sep>"), "<file_sep>"),
    ],
    ids=["a list", "none, and an end of turn of its own"],
)
def test_an_adapter_stops_wherever_it_is_loaded(
    ends: list[int] | None,
    template: str,
    expected: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base, out = made(tmp_path / "base"), tmp_path / "out"
    (base / "chat_template.jinja").write_text(template)
    change(base, "config.json", eos_token_id=ends)
    change(base, "generation_config.json", eos_token_id=ends)
    lora, sft = (
        "{r: 16, lora_alpha: 64, modules_to_save: [embed_tokens, lm_head]}",
        "max_steps: 120, learning_rate: 3e-3",
    )
    train(tmp_path, base, data, lora, sft, out=out, limit=1)
    wanted = f"<think>\n0 and one\n</think>\n\n1{expected}"
    card = student_card(told(out), repo_id="a/b", adapter=True)
    code = card.split("```python\n")[1].split("```")[0]
    for old, new in {
        "a/b": str(out),
        "the base model, see below": str(base),
        "What is 17 * 23?": "What is 0 + 1?",
        "4096": "60",
    }.items():
        code = code.replace(old, new)
    with quiet():
        exec(code, {})
        assert capsys.readouterr().out.strip().endswith(wanted)
        merge(out, tmp_path / "whole")  # as distill eval serves it
        whole = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
        words = transformers.AutoTokenizer.from_pretrained(tmp_path / "whole")
        prompt = words.apply_chat_template(
            [{"role": "user", "content": "What is 0 + 1?"}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        answer = whole.generate(**prompt, max_new_tokens=60)
    assert words.decode(answer[0]).endswith(wanted)


def test_an_adapter_is_trained_on_as_it_is_and_its_base_is_remembered(
    base: Path, data: Path, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    train(tmp_path, base, data, "{r: 4, lora_alpha: 8, target_modules: [q_proj]}", out=first)
    train(tmp_path, first, data, "null", sets=["sft.learning_rate=0.0"], out=second)
    before, after = adapter(first), adapter(second)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    config = told(second, "adapter_config.json")
    assert config["base_model_name_or_path"] == str(base)
    assert (config["r"], config["target_modules"]) == (4, ["q_proj"])
    train(tmp_path, second, data, "{r: 4, target_modules: [q_proj]}", out=third)
    assert not all(torch.equal(one, adapter(third)[name]) for name, one in before.items())
    assert told(third)["base_model"] == told(first)["base_model"] == str(base)
    assert told(third, "adapter_config.json")["base_model_name_or_path"] == str(base)
    earlier = [told(one)["fingerprint"] for one in (first, second)]
    assert [one["fingerprint"] for one in told(third)["lineage"]] == earlier


@pytest.mark.parametrize(
    ("lora", "keys"),
    [
        ("{r: 8}", "r: 8: not"),
        ("{r: 4, lora_alpha: 64, use_dora: true}", "lora_alpha: 64, use_dora: True: not"),
        ("{target_modules: [q_proj]}", r"target_modules: \['q_proj'\]: not"),
        ("{modules_to_save: [lm_head]}", r"modules_to_save: \['lm_head'\]: not"),
        ("{r: 4, target_modules: all-linear, lora_alpha: 32, init_lora_weights: false}", None),
        ("{exclude_modules: [lm_head]}", None),
    ],
)
def test_another_lora_than_the_adapters_is_refused_by_its_keys(
    lora: str, keys: str | None, base: Path, data: Path, tmp_path: Path
) -> None:
    train(tmp_path, base, data, out=tmp_path / "a")
    if keys is None:
        assert train(tmp_path, tmp_path / "a", data, lora, out=tmp_path / "b") is Exit.DONE
        return
    with pytest.raises(UserError, match=f"lora: {keys} as in the adapter"):
        train(tmp_path, tmp_path / "a", data, lora, out=tmp_path / "b")


def test_a_finished_student_and_an_adapter_of_others_are_trained_on(
    base: Path, data: Path, tmp_path: Path
) -> None:
    whole, more = tmp_path / "whole", tmp_path / "more"
    train(tmp_path, base, data, "null", out=whole)
    train(tmp_path, whole, data, "null", out=more)
    assert told(more)["base_model"] == str(base)
    assert [one["steps"] for one in told(more)["lineage"]] == [1]
    train(tmp_path, base, data, out=tmp_path / "ours")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(tmp_path / "ours" / name, foreign)
    train(tmp_path, foreign, data, "null", out=tmp_path / "next")
    assert told(tmp_path / "next")["base_model"] == str(base)
    assert "lineage" not in told(tmp_path / "next")


def test_a_student_that_was_trained_anew_is_another_start(
    base: Path, data: Path, tmp_path: Path
) -> None:
    train(tmp_path, base, data, out=tmp_path / "a")
    train(tmp_path, tmp_path / "a", data, "null", out=tmp_path / "b")
    train(tmp_path, base, data, sft="max_steps: 2", out=tmp_path / "a", force=True)
    with pytest.raises(UserError, match=r"another recipe.*--force"):
        train(tmp_path, tmp_path / "a", data, "null", out=tmp_path / "b")
