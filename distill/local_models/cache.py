"""Bounds the cache of ``transformers serve`` by what a recipe asks for.

By itself it takes 0.6 of a machine's memory, whatever the model (transformers 5.24,
generation/continuous_batching/initialization.py:316): 9 to 14 GB for a model of 0.1 GB.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.files.write import read_json
from distill.recipes.teachers import Serve

PAGE = 256  # tokens of a block; ContinuousBatchingConfig.page_size
# Tokens of all requests that are computed at once; transformers' own 8,192 makes a mask of
# 8,192 x (cache + 8,192) numbers, larger than the cache itself for a small model.
MOST_BATCH = 2048
SHARE = 0.5  # of the memory beside the weights; transformers itself refuses more than 0.6
# What a GPU driver leaves in /dev: there the server has the memory to itself, and keeps its way.
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def bounds(serve: Serve, model: Path) -> list[str]:
    """The flags that give each of the recipe's slots its context, and no more.

    Nothing where that does not fit, or is not known to: then transformers takes what there is. Nor
    where the recipe bounds the cache itself.

    Args:
        serve: its ``concurrency`` and ``context`` count.
        model: the folder that is served.
    """
    if any(arg.startswith(("--cb-", "--device")) for arg in serve.args):
        return []
    if any(Path(gpu).exists() for gpu in GPUS):
        return []
    blocks = serve.concurrency * math.ceil(serve.context / PAGE)
    batch = min(MOST_BATCH, blocks * PAGE)
    needed = _needed(read_json(model / "config.json") or {}, tokens=blocks * PAGE, batch=batch)
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    if needed is None or needed > SHARE * (_memory() - weights):
        return []
    return ["--cb-num-blocks", str(blocks), "--cb-max-batch-tokens", str(batch)]


def _needed(config: Mapping[str, Any], *, tokens: int, batch: int) -> float | None:
    """Bytes for a cache of ``tokens``; None for a model whose config does not say."""
    config = config.get("text_config") or config
    try:
        heads = config["num_attention_heads"]
        head = config.get("head_dim") or config["hidden_size"] / heads
        kept = 2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head
        logits = batch * config["vocab_size"]
    except KeyError:
        return None
    number = 4 if "32" in str(config.get("dtype") or config.get("torch_dtype")) else 2  # bytes
    read = 3 * heads * head  # one layer's keys and values, for every head
    return float(tokens * number * (kept + read) + batch * (tokens + batch) * number + 4 * logits)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
