"""Loads the base model as it will be trained: number format, 4 bits, end of turn."""

from importlib.util import find_spec
from typing import Any

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.open import Model
from distill.recipes.positions import Positions
from distill.training.base import ChatFormat
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
    positions: Positions | None = None,
) -> Any:
    """The model with the chat's end of turn and pad in its configs.

    Raises:
        UserError: its weights are not there or pickled, or bitsandbytes is needed and missing.
    """
    from transformers import AutoModelForCausalLM

    given = dict(options.sft.get("model_init_kwargs") or {})
    given.setdefault("dtype", _dtype(options))
    if quantize:
        given["quantization_config"] = _four_bits()
        given.setdefault("device_map", {"": 0} if device(options) == "cuda" else None)
    base, config = base.with_weights(), config_of(base, positions)
    if positions:
        chat.tokenizer.model_max_length = longest(config)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.source,
            config=config,
            **given,
            **base.options,
            use_safetensors=True,
        )
    except (OSError, ValueError, TypeError) as error:
        raise _unloadable(base.name, error) from None
    _tell_end(model, chat)
    # peft looks up the vocabulary's size here when it saves; else it would ask the Hub
    model.name_or_path = str(base.folder)
    return model


def _dtype(options: Options) -> Any:
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


def _four_bits() -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    require_four_bits()
    return BitsAndBytesConfig(  # QLoRA, arXiv 2305.14314, section 3
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _tell_end(model: Any, chat: ChatFormat) -> None:
    """Makes generation stop at the end of turn, and at the tokens where the base stopped."""
    tokenizer = chat.tokenizer
    old = model.generation_config.eos_token_id
    others = [] if old is None else old if isinstance(old, list) else [old]
    ends = list(dict.fromkeys([chat.end_of_turn, *others]))
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    config = model.config.get_text_config()
    config.eos_token_id, config.pad_token_id = chat.end_of_turn, tokenizer.pad_token_id


def _unloadable(base: str, error: Exception) -> UserError:
    return UserError(
        f"base: {base}: cannot be loaded: {first_line(error)}; "
        "give a folder, a Hub id or a shipped name"
    )
