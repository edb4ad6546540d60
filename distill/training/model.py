"""Loads the base model as it will be trained: number format, 4 bits, end of turn."""

import os
from importlib.util import find_spec
from typing import Any

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.generation import GENERATION, savable, stop_at, stored
from distill.local_models.open import Model
from distill.recipes.positions import Positions
from distill.training.base import ChatFormat
from distill.training.exhausted import is_exhausted
from distill.training.options import Options
from distill.training.positions import config_of, longest


def device(options: Options) -> str:
    """Where training runs: cuda, mps or cpu (also if the recipe says sft.use_cpu)."""
    import torch

    if options.sft.get("use_cpu"):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_model(
    base: Model,
    options: Options,
    chat: ChatFormat,
    *,
    quantize: str | None,
    adapter: Model | None = None,
    positions: Positions | None = None,
) -> Any:
    """The model with the chat's end of turn and pad in its configs, and ``adapter`` on it, if any.

    Raises:
        UserError: its weights are not there or pickled, or bitsandbytes is needed and missing.
    """
    from transformers import AutoModelForCausalLM

    given = dict(options.sft.get("model_init_kwargs") or {})
    given.setdefault("dtype", weight_dtype(options))
    if quantize:
        given["quantization_config"] = _four_bits(options)
        own = int(os.environ.get("LOCAL_RANK", 0))  # the GPU of this process
        given.setdefault("device_map", {"": own} if device(options) == "cuda" else None)
    base, config = base.with_weights(), config_of(base, positions)
    ends = endings(adapter or base, base, chat)
    if positions:
        chat.tokenizer.model_max_length = longest(config)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.source,
            config=config,
            **given,
            **base.options,
            use_safetensors=True,
            generation_config=ends,
        )
    except (OSError, ValueError, TypeError) as error:
        if is_exhausted(error):
            raise
        raise unloadable(base.name, error) from None
    if quantize:
        _keep_gradients(model)
    model.generation_config = ends
    config = model.config.get_text_config()
    config.eos_token_id, config.pad_token_id = chat.end_of_turn, chat.tokenizer.pad_token_id
    # peft looks up the vocabulary's size here when it saves; else it would ask the Hub
    model.name_or_path = str(base.folder)
    return model if adapter is None else _with_adapter(model, adapter)


def _keep_gradients(model: Any) -> None:
    """Keeps bitsandbytes from packing a layer for inference the first time that it evaluates.

    It does so on a CPU with AVX-512 BF16 (0.50, nn/modules.py:610), and no gradient goes through
    the packed one: the lower an adapter's layer, the less of its gradient was left.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def _with_adapter(model: Any, adapter: Model) -> Any:
    from peft import PeftModel

    source = adapter.with_weights()
    pinned = {} if adapter.revision is None else {"revision": adapter.revision}
    try:
        return PeftModel.from_pretrained(model, source.source, is_trainable=True, **pinned)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise unloadable(adapter.name, error) from None


def weight_dtype(options: Options) -> Any:
    """bfloat16 under an adapter on a GPU, else float32.

    With trl's own default of float32, a 4B base needs more than 80 GB (trl #6684). Weights that are
    trained themselves stay in float32, because bfloat16 rounds their updates away.
    """
    import torch

    if options.lora is not None and bf16(options):
        return torch.bfloat16
    return torch.float32


def bf16(options: Options) -> bool:
    """Whether to compute in bfloat16: on a GPU that can, unless the recipe decides."""
    import torch

    if (said := options.sft.get("bf16")) is not None:
        return bool(said)
    if options.sft.get("fp16"):
        return False
    return device(options) == "cuda" and torch.cuda.is_bf16_supported()


def require_four_bits() -> None:
    """Raises UserError unless bitsandbytes is installed."""
    if find_spec("bitsandbytes") is None:
        raise missing_extra(module="bitsandbytes", extra="quant")


def _four_bits(options: Options) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    require_four_bits()
    compute = torch.float16 if options.sft.get("fp16") else weight_dtype(options)
    return BitsAndBytesConfig(  # QLoRA, arXiv 2305.14314, section 3
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def endings(top: Model, base: Model, chat: ChatFormat) -> Any:
    """The generation config of a student: its base's, which also stops at the end of turn.

    ``top`` is the adapter that is trained further, whose own config goes before its base's.
    """
    own = top if (top.folder / GENERATION).is_file() else base
    config = savable(stored(own.folder), of=own.name)
    return stop_at(config, [chat.end_of_turn], pad=chat.tokenizer.pad_token_id)


def unloadable(base: str, error: Exception) -> UserError:
    """The error for a base that transformers cannot load."""
    return UserError(
        f"base: {base}: cannot be loaded: {first_line(error)}; "
        "give a folder, a Hub id or a shipped name"
    )
