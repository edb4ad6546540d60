"""Which further arguments a recipe may give to the server it starts.

Only what is known to be harmless: numbers, switches and names from short lists. Arguments that load
code, another model or a file, open a port, send something away or take JSON are in no table;
neither are those that a newer version of a server adds.
"""

import re
from collections.abc import Mapping, Sequence

from distill.errors import nearest

Values = re.Pattern[str] | tuple[str, ...] | None  # None: a switch, without a value
SWITCH = None
COUNT = re.compile(r"[0-9]{1,12}")
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?|\.[0-9]{1,12}")
PARSER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")  # built in; those from a file need another flag
LEVEL = ("debug", "info", "warning", "error", "critical")
QUANTIZED = (
    *("awq", "awq_marlin", "gptq", "gptq_marlin", "fp8", "bitsandbytes", "compressed-tensors"),
)
LOADED = ("auto", "safetensors")  # never pt or npcache, which unpickle
KV_CACHE = ("auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2")

# docs.vllm.ai, cli/serve. We have not run it.
VLLM: Mapping[str, Values] = {
    **dict.fromkeys(("--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp"), COUNT),
    **dict.fromkeys(("--data-parallel-size", "-dp", "--max-num-batched-tokens"), COUNT),
    **dict.fromkeys(("--block-size", "--num-gpu-blocks-override", "--seed"), COUNT),
    **dict.fromkeys(("--max-seq-len-to-capture", "--max-parallel-loading-workers"), COUNT),
    **dict.fromkeys(("--max-num-partial-prefills", "--long-prefill-token-threshold"), COUNT),
    **dict.fromkeys(("--max-log-len", "--kv-cache-memory-bytes"), COUNT),
    **dict.fromkeys(("--gpu-memory-utilization", "--swap-space", "--cpu-offload-gb"), AMOUNT),
    **dict.fromkeys(("--enforce-eager", "--disable-custom-all-reduce"), SWITCH),
    **dict.fromkeys(("--enable-prefix-caching", "--no-enable-prefix-caching"), SWITCH),
    **dict.fromkeys(("--enable-chunked-prefill", "--no-enable-chunked-prefill"), SWITCH),
    **dict.fromkeys(("--enable-expert-parallel", "--disable-sliding-window"), SWITCH),
    **dict.fromkeys(("--disable-cascade-attn", "--calculate-kv-scales"), SWITCH),
    **dict.fromkeys(("--async-scheduling", "--no-async-scheduling"), SWITCH),
    **dict.fromkeys(("--disable-log-stats", "--disable-log-requests"), SWITCH),
    **dict.fromkeys(("--disable-fastapi-docs", "--disable-uvicorn-access-log"), SWITCH),
    "--dtype": ("auto", "half", "float16", "bfloat16", "float", "float32"),
    "--kv-cache-dtype": KV_CACHE,
    "--quantization": QUANTIZED,
    "-q": QUANTIZED,
    "--load-format": LOADED,
    "--config-format": ("auto", "hf"),
    "--generation-config": ("auto", "vllm"),  # any other value is a folder
    "--model-impl": ("auto", "vllm", "transformers"),
    "--tokenizer-mode": ("auto", "hf", "slow"),
    "--scheduling-policy": ("fcfs", "priority"),
    # any other value is imported as a class
    "--distributed-executor-backend": ("mp", "ray", "uni"),
    "--attention-backend": ("FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLEX_ATTENTION"),
    "--reasoning-parser": PARSER,
    "--uvicorn-log-level": LEVEL,
}
# sglang 0.5.23, srt/arg_groups. We have not run it.
SGLANG: Mapping[str, Values] = {
    **dict.fromkeys(("--tp-size", "--tensor-parallel-size", "--tp"), COUNT),
    **dict.fromkeys(("--pp-size", "--pipeline-parallel-size", "--dp-size"), COUNT),
    **dict.fromkeys(("--data-parallel-size", "--ep-size", "--random-seed"), COUNT),
    **dict.fromkeys(("--chunked-prefill-size", "--max-prefill-tokens"), COUNT),
    **dict.fromkeys(("--max-total-tokens", "--max-queued-requests", "--page-size"), COUNT),
    **dict.fromkeys(("--cuda-graph-max-bs", "--torch-compile-max-bs"), COUNT),
    **dict.fromkeys(("--stream-interval", "--decode-log-interval"), COUNT),
    **dict.fromkeys(("--num-continuous-decode-steps", "--tokenizer-worker-num"), COUNT),
    **dict.fromkeys(("--cpu-offload-gb", "--watchdog-timeout"), AMOUNT),
    **dict.fromkeys(("--mem-fraction-static", "--schedule-conservativeness"), AMOUNT),
    "--swa-full-tokens-ratio": AMOUNT,
    **dict.fromkeys(("--disable-radix-cache", "--disable-cuda-graph"), SWITCH),
    **dict.fromkeys(("--disable-custom-all-reduce", "--disable-overlap-schedule"), SWITCH),
    **dict.fromkeys(("--enable-torch-compile", "--enable-mixed-chunk"), SWITCH),
    **dict.fromkeys(("--enable-dp-attention", "--enable-cache-report"), SWITCH),
    **dict.fromkeys(("--enable-p2p-check", "--enable-deterministic-inference"), SWITCH),
    "--skip-server-warmup": SWITCH,
    "--dtype": ("auto", "half", "float16", "bfloat16", "float", "float32"),
    "--kv-cache-dtype": KV_CACHE,
    "--quantization": QUANTIZED,
    "--load-format": LOADED,
    "--model-impl": ("auto", "sglang", "transformers"),
    "--schedule-policy": ("lpm", "random", "fcfs", "dfs-weight"),
    "--attention-backend": ("triton", "torch_native", "flex_attention", "fa3", "fa4", "flashinfer"),
    "--sampling-backend": ("flashinfer", "pytorch"),
    "--grammar-backend": ("xgrammar", "outlines", "llguidance", "none"),
    "--reasoning-parser": PARSER,
    "--log-level": LEVEL,
}
# transformers 5.24, cli/serve.py.
TRANSFORMERS: Mapping[str, Values] = {
    **dict.fromkeys(("--cb-block-size", "--cb-num-blocks", "--cb-max-batch-tokens"), COUNT),
    **dict.fromkeys(("--default-seed", "--model-timeout"), COUNT),
    "--cb-max-memory-percent": AMOUNT,
    **dict.fromkeys(("--cb-use-cuda-graph", "--no-cb-use-cuda-graph", "--compile"), SWITCH),
    # with a slash it would be a kernel of the Hub, fetched and run
    "--attn-implementation": ("eager", "sdpa", "flex_attention", "flash_attention_2"),
    "--quantization": ("bnb-4bit", "bnb-8bit"),
    "--reasoning": ("on", "off", "auto"),
    "--device": re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?"),
    "--dtype": ("auto", "float16", "bfloat16", "float32"),
    "--log-level": LEVEL,
}
LLAMACPP: Mapping[str, Values] = {"--threads": COUNT}
TABLES: Mapping[str, Mapping[str, Values]] = {
    "llama.cpp": LLAMACPP,
    "vllm": VLLM,
    "sglang": SGLANG,
    "transformers": TRANSFORMERS,
}
# Arguments that distill sets itself, and the recipe's key for them.
OURS: Mapping[str, str] = {
    **dict.fromkeys(("--host", "--port"), "the server is on loopback, on a free port"),
    **dict.fromkeys(("--model", "--model-path", "--served-model-name", "--alias"), "serve.model"),
    **dict.fromkeys(("--max-model-len", "--context-length", "--context"), "serve.context"),
    **dict.fromkeys(
        ("--max-num-seqs", "--max-running-requests", "--slots", "--continuous-batching"),
        "serve.concurrency",
    ),
}


def wrong_arguments(args: Sequence[str], *, engine: str) -> str | None:
    """What in ``args`` is not known to be safe, in one line; None if all of it is.

    A flag must be written in full and with dashes. Servers also accept abbreviations and
    underscores, so anything else might be another flag.
    """
    known = TABLES[engine]
    rest = list(args)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag not in known:
            return _unknown(flag, engine)
        allowed = known[flag]
        if allowed is None:
            if equals:
                return f"{flag} is a switch of {engine}, without a value; write it alone"
            continue
        if not equals and rest:
            value = rest.pop(0)
        if not _fits(value, allowed):
            return f"{flag}: {value!r:.40} is not known to be safe; {_wanted(allowed)}"
    return None


def _fits(value: str, allowed: re.Pattern[str] | tuple[str, ...]) -> bool:
    if isinstance(allowed, tuple):
        return value in allowed
    return bool(allowed.fullmatch(value))


def _wanted(allowed: re.Pattern[str] | tuple[str, ...]) -> str:
    if isinstance(allowed, tuple):
        return f"one of {', '.join(allowed)}"
    return {COUNT: "a whole number", AMOUNT: "a number"}.get(allowed, "a built-in name")


def _unknown(flag: str, engine: str) -> str:
    dashed = flag.replace("_", "-")
    if said := OURS.get(dashed):
        return f"{flag!r:.60} is set by distill itself; next: {said}"
    if not flag.startswith("-"):
        return f"{flag!r:.60} is not a flag; a value must follow its own flag"
    return (
        f"{flag!r:.60} is not an argument of {engine} that is known to be safe; "
        f"{nearest(dashed, TABLES[engine])} Next: leave it out, or start the server yourself and "
        "name it in teacher"
    )
