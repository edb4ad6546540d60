"""A merged adapter: the same answers, the same end, or nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
import transformers
from peft import LoraConfig, get_peft_model

from distill.commands.merge import merge as command
from distill.errors import Exit, UserError
from distill.local_models import merge as program
from distill.local_models.merge import merge
from distill.training.quiet import quiet
from tests.builders.models import tiny

IDS = torch.tensor([[5, 6, 7, 1, 2, 3]])
EMBED, HEAD = "embed_tokens", "lm_head"
KINDS: dict[str, dict[str, Any]] = {
    "all layers": {"target_modules": "all-linear"},
    "dora": {"target_modules": "all-linear", "use_dora": True},
    "rslora": {"target_modules": "all-linear", "use_rslora": True},
    "embeddings": {"target_modules": ["q_proj", EMBED]},
    "head": {"target_modules": ["q_proj", HEAD]},
    "both": {"target_modules": ["q_proj", EMBED, HEAD]},
    "both as one": {"target_modules": ["q_proj", EMBED], "ensure_weight_tying": True},
    "saved embeddings": {"target_modules": ["q_proj"], "modules_to_save": [EMBED]},
    "saved head": {"target_modules": ["q_proj"], "modules_to_save": [HEAD]},
    "saved norm": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2, 3]},
    "tokens of both": {
        "target_modules": ["q_proj"],
        "trainable_token_indices": {EMBED: [1], HEAD: [3]},
    },
    "ranks": {"target_modules": "all-linear", "rank_pattern": {"q_proj": 2}},
    "one layer": {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    "biases": {"target_modules": ["q_proj"], "bias": "all"},
    "pissa": {"target_modules": "all-linear", "init_lora_weights": "pissa"},
}
APART = {"embeddings", "head", "both", "saved embeddings", "saved head", "tokens of both"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The libraries warn each other of what they deprecate; the program runs in its own process."""
    with quiet():
        yield


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("base"), tie_word_embeddings=True)


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("base"), tie_word_embeddings=False)


def student(folder: Path, base: Path, *, scale: float = 0.1, **lora: Any) -> torch.Tensor:
    """Writes an adapter as if it had been trained; returns its logits for IDS."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    model.name_or_path = str(base)
    tuned = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **lora))
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data += torch.randn_like(weight) * scale
    tuned.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    logits: torch.Tensor = tuned(IDS).logits.detach()
    return logits


@pytest.mark.parametrize(
    ("kind", "of"), [*((kind, "tied") for kind in KINDS), ("embeddings", "untied")]
)
def test_a_merged_student_equals_its_adapter(
    kind: str, of: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(of)
    wanted = student(tmp_path / "a", base, **KINDS[kind])
    merge(tmp_path / "a", tmp_path / "whole")
    whole = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    plain = transformers.AutoModelForCausalLM.from_pretrained(base)
    off, changed = ((one(IDS).logits - wanted).abs().max() for one in (whole, plain))
    assert off < min(1e-3, changed / 10)  # some kinds change little
    tied = plain.config.tie_word_embeddings
    assert whole.config.tie_word_embeddings == (tied and kind not in APART)
    compared = json.loads((tmp_path / "whole" / "merge.json").read_text())
    assert compared["dtype"] == "float32"
    assert all(apart < 1e-4 for apart in compared["largest_difference"].values())


def test_a_merge_that_answers_differently_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny(tmp_path / "base")
    student(tmp_path / "a", base, scale=0.2, target_modules="all-linear")
    monkeypatch.setattr(program, "_merged", lambda tuned: tuned.unload())  # without the adapter
    with pytest.raises(UserError, match="merged into its base it answers differently: logits"):
        merge(tmp_path / "a", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def test_the_whole_model_stops_and_samples_as_the_student(tmp_path: Path) -> None:
    base = tiny(tmp_path / "base")
    ends = {"eos_token_id": [2, 0], "temperature": 0.6, "do_sample": True}
    for own, expected in ((ends, [2, 0]), (None, [2, 0])):
        folder = tmp_path / f"a{own is None}"
        student(folder, base, target_modules="all-linear")
        if own:
            (folder / "generation_config.json").write_text(json.dumps(own))
        merge(folder, folder / "whole")
        found = json.loads((folder / "whole" / "generation_config.json").read_text())
        assert found["eos_token_id"] == expected  # without a config of its own: its tokenizer's
        assert found.get("temperature") == (own or {}).get("temperature")


def test_merge_writes_a_whole_student_once_and_replaces_only_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base, out = tiny(tmp_path / "base"), tmp_path / "out"
    student(tmp_path / "a", base, target_modules="all-linear")
    (tmp_path / "a" / "train.json").write_text('{"fingerprint": "f", "base_model": "x/y"}')
    with caplog.at_level("INFO", "distill"):
        assert command(tmp_path / "a", out=out, dry_run=True) is Exit.DONE
        assert not out.exists()
        assert command(tmp_path / "a", out=out) is Exit.DONE
        made = (out / "model.safetensors").stat().st_mtime_ns
        assert command(tmp_path / "a", out=out) is Exit.DONE
    assert "already done" in caplog.text
    assert (out / "model.safetensors").stat().st_mtime_ns == made
    names = {path.name for path in out.iterdir()}
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    wanted |= {"chat_template.jinja", "generation_config.json", "train.json", "merge.json"}
    assert names == wanted | {".lock"}
    transformers.AutoModelForCausalLM.from_pretrained(out)
    student(tmp_path / "b", base, scale=0.2, target_modules="all-linear")
    with pytest.raises(UserError, match=r"holds a result of another.*--force"):
        command(tmp_path / "b", out=out)
    assert command(tmp_path / "b", out=out, force=True) is Exit.DONE
    assert not (out / "train.json").exists()  # the other student's


def test_merge_refuses_what_it_would_harm_or_need_not_do(tmp_path: Path) -> None:
    base, other = tiny(tmp_path / "base"), tiny(tmp_path / "other")
    student(tmp_path / "a", base, target_modules="all-linear")
    before = {path.name: path.stat().st_mtime_ns for path in other.iterdir()}
    with pytest.raises(UserError, match="was not made by distill merge"):
        command(tmp_path / "a", out=other, force=True)
    assert {path.name: path.stat().st_mtime_ns for path in other.iterdir()} == before
    for own in (base, tmp_path / "a"):
        with pytest.raises(UserError, match="which must stay; choose another -o"):
            command(tmp_path / "a", out=own, force=True)
    with pytest.raises(UserError, match="whole weights already"):
        command(base, out=tmp_path / "out")
    (tmp_path / "a" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be merged into its base: "):
        command(tmp_path / "a", out=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock"}
