"""What a server is given says the same as what the user named."""

import json
from pathlib import Path

import pytest

from distill.errors import UserError
from distill.local_models.servable import servable
from tests.builders.models import tiny


def folder(path: Path, *, generation: dict[str, object] | None) -> Path:
    path.mkdir()
    (path / "config.json").write_text('{"eos_token_id": 7, "hidden_size": 8}')
    (path / "model.safetensors").write_bytes(b"weights")
    if generation is not None:
        (path / "generation_config.json").write_text(json.dumps(generation))
    return path


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        (None, {"eos_token_id": 7, "do_sample": True}),
        ({"eos_token_id": [7, 9]}, {"eos_token_id": [7, 9], "do_sample": True}),
        ({"do_sample": False, "top_k": 20}, {"do_sample": True, "top_k": 20}),
    ],
)
def test_transformers_is_told_to_sample_and_the_users_folder_stays_as_it_is(
    generation: dict[str, object] | None, expected: dict[str, object], tmp_path: Path
) -> None:
    mine = folder(tmp_path / "a model@1", generation=generation)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    work = tmp_path / "work"
    work.mkdir()
    view = servable(mine, engine="transformers", work=work)
    assert view == work / "a_model_1"  # transformers would read @1 as a revision
    assert json.loads((view / "generation_config.json").read_bytes()) == expected
    assert (view / "model.safetensors").read_bytes() == b"weights"
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_a_server_sees_only_what_may_be_read(tmp_path: Path) -> None:
    mine = folder(tmp_path / "model", generation=None)
    for name in ("training_args.bin", "optimizer.pt", "notes.sh"):
        (mine / name).write_bytes(b"")
    work = tmp_path / "work"
    work.mkdir()
    view = servable(mine, engine="vllm", work=work)
    assert {path.name for path in view.iterdir()} == {"config.json", "model.safetensors"}


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json and no adapter_config\.json"):
        servable(tmp_path, engine="vllm", work=tmp_path)


# peft 0.21 reads an attribute that transformers 5.23 has deprecated.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_merged_adapter_answers_as_the_adapter_does(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    tiny(tmp_path / "base", eos_token_id=2)
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    student = peft.get_peft_model(
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base"), lora
    ).eval()
    student.save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")
    tokens = torch.tensor([[2, 3, 4, 5]])
    with torch.no_grad():
        expected = student(tokens).logits
        plain = base.eval()(tokens).logits

    work = tmp_path / "work"
    work.mkdir()
    whole = servable(tmp_path / "student", engine="transformers", work=work)

    merged = transformers.AutoModelForCausalLM.from_pretrained(whole).eval()
    with torch.no_grad():
        found = merged(tokens).logits
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)
    assert merged.generation_config.do_sample is True
    assert transformers.AutoTokenizer.from_pretrained(whole).eos_token == "<|im_end|>"
