"""Which options of peft's LoraConfig a recipe or an adapter may have, with which values.

Options in neither table are refused, because those that a newer peft adds are not known to be safe.
"""

import re
from collections.abc import Mapping
from typing import Any

from distill.recipes.shapes import (
    Shape,
    block,
    either,
    many,
    number,
    one_of,
    pattern,
    switch,
    table,
    text,
    whole,
    word,
)


def initial_weights(value: Any) -> str | None:
    """Ways to initialise the matrices without a file; eva, corda and lora_ga unpickle caches."""
    ways = ("gaussian", "olora", "pissa", "orthogonal", "mica")
    return one_of(True, False, *ways)(value)


def library(value: Any) -> str | None:
    """A module of transformers."""
    fits = isinstance(value, str) and re.fullmatch(r"transformers(\.[a-z0-9_]+)*", value)
    return None if fits else "a module of transformers"


NAMES: Shape = either(pattern, many(pattern))
ALLOWED: Mapping[str, Shape] = {
    **dict.fromkeys(("r", "lora_alpha", "qalora_group_size"), whole),
    "lora_dropout": number,
    **dict.fromkeys(("target_modules", "exclude_modules", "layers_pattern"), NAMES),
    **dict.fromkeys(("modules_to_save", "target_parameters"), many(pattern)),
    **dict.fromkeys(("fan_in_fan_out", "use_rslora", "use_dora", "use_qalora"), switch),
    **dict.fromkeys(("lora_bias", "ensure_weight_tying"), switch),
    "bias": one_of("none", "all", "lora_only"),
    "init_lora_weights": initial_weights,
    "layers_to_transform": either(whole, many(whole)),
    "rank_pattern": table(pattern, whole),
    "alpha_pattern": table(pattern, number),
    "trainable_token_indices": either(many(whole), table(pattern, many(whole))),
    "alora_invocation_tokens": many(whole),
    "layer_replication": many(many(whole)),
    "task_type": one_of("CAUSAL_LM"),
}

_FILE = "it initialises the weights from a file that is unpickled"
_RARE = "it is not known to be safe"
# Options that a recipe cannot have, and why.
REFUSED: Mapping[str, str] = {
    "peft_type": "it is always LORA",
    "peft_version": "peft writes it",
    "base_model_name_or_path": "it is base: in the recipe",
    "revision": "it is that of base:",
    "inference_mode": "a student is trained; next: leave it out",
    "auto_mapping": "it names a package to import",
    "megatron_core": "it names a package to import",
    "megatron_config": "it goes with megatron_core, which names a package to import",
    "loftq_config": _FILE,
    "eva_config": _FILE,
    "corda_config": _FILE,
    "lora_ga_config": _FILE,
    "runtime_config": "it is about one machine, not about the student",
    **dict.fromkeys(("velora_config", "monteclora_config", "use_bdlora"), _RARE),
    **dict.fromkeys(("arrow_config", "kasa_config"), _RARE),
}
# What peft writes into an adapter for options that were not set.
UNSET: tuple[object, ...] = (None, False, [], {}, "")
# Other keys of an adapter's config, checked when it is opened.
DESCRIBES: Mapping[str, Shape] = {
    "peft_type": one_of("LORA"),
    "task_type": one_of("CAUSAL_LM"),
    "peft_version": text,
    "inference_mode": switch,
    "megatron_core": one_of("megatron.core"),  # peft's default; used with megatron_config only
    "revision": one_of("main"),  # of the base, which is opened at its newest commit
    # where an adapter without a task_type got its base's class from; we do not follow it
    "auto_mapping": block(base_model_class=word, parent_library=library, unsloth_fixed=switch),
}


def wrong_in_adapter(config: Mapping[str, Any]) -> str | None:
    """What in an adapter_config.json is not known to be safe; None if all of it is."""
    if config.get("peft_type") != "LORA":
        return f"peft_type: {config.get('peft_type')!r:.40}: must be LORA"
    for key, value in config.items():
        if value in UNSET or key == "base_model_name_or_path":
            continue
        shape = DESCRIBES.get(key) or ALLOWED.get(key)
        said = shape(value) if shape else REFUSED.get(key, "not known to be safe")
        if said:
            return f"{key}: {value!r:.40}: {'must be ' if shape else ''}{said}"
    return None
