"""A student without weights: every tensor's name, shape and type, for any size, in a second."""

from typing import Any

from distill.errors import UserError, first_line
from distill.local_models.open import Model
from distill.training.model import unloadable, weight_dtype
from distill.training.options import Options

LOADED = ("attn_implementation", "experts_implementation")


def base_twin(base: Model, options: Options) -> Any:
    """The base model on torch's meta device.

    Raises:
        UserError: transformers has no such model, or not with these ``model_init_kwargs``.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    said = options.sft.get("model_init_kwargs") or {}
    given = {key: said[key] for key in LOADED if key in said}
    try:
        config = AutoConfig.from_pretrained(base.source, **base.options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=weight_dtype(options), **given)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise unloadable(base.name, error) from None
    model.name_or_path = str(base.folder)
    return model


def adapter_twin(base: Model, options: Options) -> Any:
    """The same with the recipe's adapter on it.

    Raises:
        UserError: peft refuses the options, such as a target that the base does not have.
    """
    from peft import LoraConfig, get_peft_model

    model = base_twin(base, options)
    # values of the weights, which some ways compute from the base's, are of no interest here
    lora = {**(options.lora or {}), "init_lora_weights": False}
    try:
        return get_peft_model(model, LoraConfig(**lora))
    except (ValueError, TypeError, ImportError, KeyError, AttributeError, RuntimeError) as error:
        msg = f"lora: {base.name}: refused by peft: {first_line(error)}"
        raise UserError(msg) from None
