"""A student without weights: every tensor's name, shape and type, for any size, in a second."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from distill.errors import UserError, first_line, nearest
from distill.local_models.open import Model
from distill.recipes.positions import Positions
from distill.training.model import unloadable, weight_dtype
from distill.training.options import Options
from distill.training.positions import config_of

ALL = "all-linear"  # peft's word, no pattern
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
    _refuse_absent(lora, model)
    try:
        return get_peft_model(model, LoraConfig(**lora))
    except (ValueError, TypeError, ImportError, KeyError, AttributeError, RuntimeError) as error:
        msg = f"lora: {base.name}: refused by peft: {first_line(error)}"
        raise UserError(msg) from None


def _refuse_absent(lora: Mapping[str, Any], model: Any) -> None:
    """Raises for modules that the base lacks: peft passes over them in silence if it has others."""
    modules = {name: module for name, module in model.named_modules() if name}
    there = list(modules)
    leaves = [name for name, module in modules.items() if not any(module.children())]
    short = {name.rpartition(".")[2] for name in leaves}
    for key in ("target_modules", "modules_to_save"):
        given = lora.get(key) or ()
        # a text is a pattern of whole names, or all-linear
        pattern = re.compile(given) if isinstance(given, str) and given != ALL else None
        if pattern is not None and not any(map(pattern.fullmatch, there)):
            raise _absent(key, pattern.pattern, short)
        for name in () if isinstance(given, str) else given:
            if not any(f".{each}".endswith(f".{name}") for each in there):
                raise _absent(key, name, short)


def _absent(key: str, name: str, there: Collection[str]) -> UserError:
    names = sorted(each for each in there if not each.isdecimal())
    if name in there:  # a pattern has to match the whole name
        return UserError(f"lora.{key}: {name}: no whole name of a module; write it as [{name}]")
    close = nearest(name, names)
    listed = "" if close.startswith("one of") else f" (it has {', '.join(names)})"
    return UserError(f"lora.{key}: {name}: no module of the base; {close}{listed}")
