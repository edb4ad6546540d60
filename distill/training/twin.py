"""A student without weights: every tensor's name, shape and type, for any size, in a second."""

from collections.abc import Collection
from typing import Any

from distill.errors import UserError, first_line, nearest
from distill.local_models.open import Model
from distill.recipes.positions import Positions
from distill.training.model import unloadable, weight_dtype
from distill.training.options import Options
from distill.training.positions import config_of

LOADED = ("attn_implementation", "experts_implementation")


def base_twin(base: Model, options: Options, positions: Positions | None = None) -> Any:
    """The base model on torch's meta device.

    Raises:
        UserError: transformers has no such model, or not with these ``model_init_kwargs``.
    """
    import torch
    from transformers import AutoModelForCausalLM

    said = options.sft.get("model_init_kwargs") or {}
    given = {key: said[key] for key in LOADED if key in said}
    try:
        config = config_of(base, positions)
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
    _refuse_absent(lora.get("modules_to_save") or (), model)
    try:
        return get_peft_model(model, LoraConfig(**lora))
    except (ValueError, TypeError, ImportError, KeyError, AttributeError, RuntimeError) as error:
        msg = f"lora: {base.name}: refused by peft: {first_line(error)}"
        raise UserError(msg) from None


def _refuse_absent(names: Collection[str], model: Any) -> None:
    """Raises for modules that peft would pass over in silence."""
    there = {name.rpartition(".")[2] for name, _ in model.named_modules() if name}
    if absent := [name for name in names if name.rpartition(".")[2] not in there]:
        said = nearest(absent[0], [name for name in there if not name.isdecimal()])
        msg = f"lora.modules_to_save: {absent[0]}: no module of the base; {said}"
        raise UserError(msg)
