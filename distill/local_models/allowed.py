"""Whether a model's files are acceptable: no code, no pickles, nothing that points elsewhere.

Decided from names and parsed JSON alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from distill.recipes.lora import wrong_in_adapter
from distill.recipes.sft import ATTENTION, EXPERTS

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
# Code that a library may import or load.
CODE = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib")
# The files of a model that are read: configs and word lists, templates, tokenizers.
READ = (".json", ".jinja", ".txt", ".model", ".tiktoken")
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
# Mistral's own form of the same weights, and indexes of pickled ones; see ``read_names``.
OTHER_FORM = re.compile(r"consolidated.*|params\.json|.*\.(bin|pt|pth|h5|msgpack)\.index\.json")
TEMPLATES = "additional_chat_templates"
# Keys by which a library imports code, loads another model, or reads another file than the usual.
POINTERS = (
    *("auto_map", "custom_pipelines", "custom_generate", "trust_remote_code", "code_revision"),
    *("transformers_weights", "speculators_config", "kernel_config", "use_kernels"),
    *("compile_config", "speculative_config", "draft_model"),
)
# Methods of transformers and vLLM with safetensors weights; each is one fixed package.
QUANTIZED = ("awq", "gptq", "bitsandbytes", "compressed-tensors", "fp8", "mxfp4", "modelopt")
ARCHITECTURE = re.compile(r"[A-Za-z0-9_]{1,80}(ForCausalLM|ForConditionalGeneration|LMHeadModel)")
TOKENIZER = re.compile(r"[A-Za-z0-9_]{1,80}(Tokenizer|TokenizerFast|Backend)")
# Keys of a tokenizer's config by which it reads a file; special_tokens_map_file is not followed.
FILES = re.compile(r"(?!special_tokens_map_file).*(_files?|_spm)|subfolder|vocab")
# A path, an address or a repository of the Hub, but not </s> and the like.
LOCATOR = re.compile(r"^\s*[~/]|[^<]/")
# Keys whose texts no library uses to look anything up.
DESCRIPTIVE = (
    *("_name_or_path", "name_or_path", "_commit_hash", "license", "meta", "dataset", "language"),
    *("id2label", "label2id", "task_specific_params", "chat_template", "model_card"),
)


def read_names(names: Iterable[str]) -> list[str]:
    """The files of a model that may be read, weights included, as paths below its folder."""
    return sorted(name for name in names if _is_read(name))


def _is_read(name: str) -> bool:
    path = PurePosixPath(name)
    if path.parts[0] == TEMPLATES and len(path.parts) == 2:
        return path.suffix == ".jinja" and bool(PLAIN.fullmatch(path.name))
    if len(path.parts) != 1 or not PLAIN.fullmatch(name) or OTHER_FORM.fullmatch(name):
        return False
    return path.suffix in (*READ, ".safetensors")


def is_weights(name: str) -> bool:
    """Whether the file holds weights, and so may be large."""
    return name.endswith(".safetensors")


def wrong_names(names: Iterable[str]) -> str | None:
    """Names the first file that is code; None if there is none."""
    found = next((n for n in sorted(names) if n.lower().endswith(CODE)), None)
    return None if found is None else f"{found!r:.80} is code, and code of a model is never run"


def is_config(name: str) -> bool:
    """Whether the file tells libraries what to do; others are lists of words and numbers."""
    return "/" not in name and name.endswith(".json") and "config" in name


def wrong_config(name: str, value: Any) -> str | None:
    """Which unsafe thing a config, read from the file ``name``, would have a library do."""
    if not isinstance(value, dict):
        return f"{name} is not a mapping"
    if name == ADAPTER and (said := wrong_in_adapter(value)):
        return f"{name}: {said}"
    for key, inner in _items(value):
        if said := _wrong_item(key, inner):
            return f"{name}: {key}: {inner!r:.60} {said}"
    if name == "tokenizer_config.json":
        return _wrong_tokenizer(name, value)
    if name == ADAPTER:
        return None
    for key, text in _texts(value):
        if LOCATOR.search(text):
            return f"{name}: {key}: {text!r:.60} names a file or a repository elsewhere"
    return None


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _wrong_item(key: str, value: Any) -> str | None:
    if key in POINTERS:
        return "loads code or another model" if value else None
    if "attn_implementation" in key:
        return _not_among(value, (*ATTENTION, "paged|eager", "paged|sdpa"))
    if "experts_implementation" in key:
        return _not_among(value, EXPERTS)
    if key in ("quantization_config", "compression_config") and value:
        method = value.get("quant_method") if isinstance(value, dict) else None
        return None if method in QUANTIZED else f"is none of {', '.join(QUANTIZED)}"
    if key == "architectures" and value:
        names = value if isinstance(value, list) else [value]
        fits = all(isinstance(one, str) and ARCHITECTURE.fullmatch(one) for one in names)
        return None if fits else "is not a causal language model that the libraries know"
    return None


def _not_among(value: Any, allowed: tuple[str, ...]) -> str | None:
    values = list(value.values()) if isinstance(value, dict) else [value]
    fits = all(one is None or one in allowed for one in values)
    return None if fits else "may be a kernel that is fetched and run"


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text with its key, except those of descriptive keys."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, found = waiting.pop()
        if isinstance(found, dict):
            waiting += [(k, v) for k, v in found.items() if k not in DESCRIPTIVE]
        elif isinstance(found, list):
            waiting += [(key, one) for one in found]
        elif isinstance(found, str):
            yield key, found


def _wrong_tokenizer(name: str, config: Mapping[str, Any]) -> str | None:
    kind = config.get("tokenizer_class")
    if kind is not None and not (isinstance(kind, str) and TOKENIZER.fullmatch(kind)):
        return f"{name}: tokenizer_class: {kind!r:.60} is not a tokenizer that the libraries know"
    for key, value in config.items():
        files = value if isinstance(value, list) else [value]
        if value and FILES.fullmatch(key) and not all(map(_is_beside, files)):
            return f"{name}: {key}: {value!r:.60} names a file elsewhere"
    options = config.get("sp_model_kwargs") or {}
    if not isinstance(options, dict) or any(isinstance(one, str) for one in options.values()):
        return f"{name}: sp_model_kwargs: {options!r:.60} may load another model"
    return None


def _is_beside(file: Any) -> bool:
    return not isinstance(file, str) or bool(PLAIN.fullmatch(file))


def wrong_index(value: Any, names: Iterable[str]) -> str | None:
    """Which entry in an index of shards is not a safetensors file beside it; None if all are."""
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict) or not shards:
        return f"{INDEX}: has no weight_map"
    there = set(names)
    for shard in sorted({str(one) for one in shards.values()}):
        if not PLAIN.fullmatch(shard) or not is_weights(shard):
            return f"{INDEX}: {shard!r:.60} is not a safetensors file beside it"
        if shard not in there:
            return f"{INDEX}: {shard!r:.60} is not there"
    return None


def wrong_weights(names: Iterable[str], *, needed: tuple[str, ...]) -> str | None:
    """Why there is nothing to load among ``names``; any one of ``needed`` is enough."""
    there = list(names)
    if any(name in there for name in needed):
        return None
    pickled = next((n for n in there if n.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))), None)
    if pickled is not None:
        return f"its weights are pickled ({pickled:.80}), which runs code; only safetensors is read"
    return f"it has no {' and no '.join(needed)}"
