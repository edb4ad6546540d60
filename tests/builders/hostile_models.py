"""Every way known to us in which a model could be hostile.

Whatever is in them writes the file ``canary`` beside them as soon as it is imported or unpickled.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Bomb:
    """Writes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def change(folder: Path, name: str, **values: Any) -> None:
    """Puts values into one of the JSON files of a model."""
    path = folder / name
    told = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(told | values))


def _code(folder: Path, name: str = "evil.py") -> None:
    canary = folder.parent / "canary"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"open({str(canary)!r}, 'w').close()\n"
        "from transformers import LlamaForCausalLM as Evil, PreTrainedTokenizerFast as Words\n"
    )


def pickle_into(folder: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(folder.parent / "canary")))


def _model_code(folder: Path) -> None:
    _code(folder)
    change(folder, "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"})


def _code_elsewhere(folder: Path) -> None:
    change(folder, "config.json", auto_map={"AutoModelForCausalLM": "owner/evil--evil.Evil"})


def _tokenizer_code(folder: Path) -> None:
    _code(folder)
    change(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "evil.Words"]})


def _pickled_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    pickle_into(folder, "pytorch_model.bin")


def _index(shard: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
        pickle_into(folder, "shard.bin")
        change(folder, "model.safetensors.index.json", weight_map={"lm_head.weight": shard})

    return make


def _link(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        outside = folder.parent / f"outside-{name}"
        (folder / name).unlink(missing_ok=True)
        outside.write_text("a secret")
        (folder / name).symlink_to(outside)

    return make


def _configured(name: str, **values: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder, name, **values)


# What can be wrong in a folder of whole weights.
HOSTILE: dict[str, Callable[[Path], None]] = {
    "code of the model": _model_code,
    "code in another repository": _code_elsewhere,
    "code of the tokenizer": _tokenizer_code,
    "code of generation": lambda folder: _code(folder, "custom_generate/generate.py"),
    "code that nothing names": lambda folder: _code(folder, "setup.py"),
    "a pipe": lambda folder: os.mkfifo(folder / "notes.txt"),
    "code deep inside": lambda folder: _code(folder, "tools/evil.py"),
    "compiled code": lambda folder: pickle_into(folder, "evil.SO"),
    "an inner auto_map": _configured(
        "config.json", text_config={"a": [{"auto_map": {"A": "b.C"}}]}
    ),
    "a processor's auto_map": _configured(
        "processor_config.json", auto_map={"AutoProcessor": "e.E"}
    ),
    "an image processor's": _configured("preprocessor_config.json", auto_map={"A": "e.E"}),
    "pipelines": _configured("config.json", custom_pipelines={"x": {"impl": "evil.Evil"}}),
    "a kernel": _configured("config.json", attn_implementation="owner/kernel"),
    "a kernel by revision": _configured("config.json", _attn_implementation="owner/kernel@v1:f"),
    "a kernel inside": _configured("config.json", text_config={"attn_implementation": {"": "o/k"}}),
    "experts": _configured("config.json", experts_implementation="owner/kernel"),
    "a verifier": _configured(
        "config.json", speculators_config={"verifier": {"name_or_path": "o"}}
    ),
    "other weights": _configured("config.json", transformers_weights="adapter_model.bin"),
    "a plugin": _configured("config.json", quantization_config={"quant_method": "my_plugin"}),
    "a nameless method": _configured("config.json", quantization_config={"bits": 4}),
    "a backend": _configured("generation_config.json", compile_config={"backend": "evil"}),
    "a vision tower": _configured("config.json", mm_vision_tower="owner/tower"),
    "a file of this machine": _configured("config.json", retriever={"index": "/etc/passwd"}),
    "an address": _configured("generation_config.json", report="http://203.0.113.1/x"),
    "another class": _configured("config.json", architectures=["RagRetriever"]),
    "no tokenizer": _configured("tokenizer_config.json", tokenizer_class="Trainer"),
    "a word list elsewhere": _configured("tokenizer_config.json", vocab_file="/etc/passwd"),
    "a newer tokenizer elsewhere": _configured(
        "tokenizer_config.json", fast_tokenizer_files=["../outside/tokenizer.4.0.0.json"]
    ),
    "a translator's words elsewhere": _configured("tokenizer_config.json", source_spm="/tmp/x.spm"),
    "a list of pictures elsewhere": _configured("tokenizer_config.json", emoji_file="../e.json"),
    "a sentence model elsewhere": _configured(
        "tokenizer_config.json", sp_model_kwargs={"model_file": "outside.model"}
    ),
    "pickled weights only": _pickled_only,
    "pickled shards": _index("shard.bin"),
    "shards above": _index("../outside.safetensors"),
    "shards by a whole path": _index("/tmp/outside.safetensors"),
    "a linked template": _link("chat_template.jinja"),
    "a linked config": _link("generation_config.json"),
    "linked weights": _link("model.safetensors"),
    "a config that is no mapping": lambda f: _write(f / "generation_config.json", "[]"),
    "a config too deep": lambda f: _write(f / "generation_config.json", "[" * 100_000),
    "a config that is no JSON": lambda f: _write(f / "config.json", "{'a': 1}"),
}
# What can be wrong in an adapter whose base is honest.
ADAPTERS: dict[str, dict[str, Any]] = {
    "a module": {"megatron_core": "evil", "megatron_config": {"a": 1}},
    "a package": {"auto_mapping": {"base_model_class": "E", "parent_library": "evil"}},
    "another kind": {"peft_type": "PROMPT_TUNING"},
    "a cache": {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
    "a cache file": {"corda_config": {"cache_file": "/tmp/cache.pt"}},
    "gradients": {"lora_ga_config": {"cache_file": "/tmp/cache.pt"}},
    "bits": {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}},
    "a slow pattern": {"target_modules": "(a+)+$"},
    "something new": {"some_new_option": {"file": "x"}},
}


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def hostile(base: Path, folder: Path, kind: str) -> Path:
    """A copy of an honest model with one thing wrong."""
    shutil.copytree(base, folder)
    HOSTILE[kind](folder)
    return folder
