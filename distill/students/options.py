"""The ``lora:`` and ``sft:`` of a recipe, checked against the installed libraries.

Knows no option by heart, save those that distill settles itself. Does not load a model or choose
values: a default is here only where the library's own would lose data, print, or reach a network.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from distill.errors import UserError, missing_extra, nearest
from distill.recipes.students import StudentRecipe

# What a recipe must not set, and what the user does instead.
SETTLED: Mapping[str, str] = {
    "output_dir": "it is the -o of the command",
    "chat_template_path": "set chat_template: beside sft:",
    "eos_token": "the chat template tells the end of a turn; set chat_template: beside sft:",
    "assistant_only_loss": "the prompt is always masked and the answer always trained",
    "completion_only_loss": "the prompt is always masked and the answer always trained",
    "dataset_kwargs": "distill tokenises the rows itself",
    "dataset_text_field": "distill tokenises the rows itself",
    "remove_unused_columns": "distill tokenises the rows itself",
    "truncation_mode": "a trace longer than max_length is left out and counted, never cut",
    "eval_strategy": "next: distill eval on the finished student",
    "load_best_model_at_end": "next: distill eval on the finished student",
    "trust_remote_code": "code from a model repository is never run",
    "push_to_hub": "next: distill push on the finished student",
    "hub_token": "recipes are shared; next: distill push, which reads HF_TOKEN",
    "resume_from_checkpoint": "with save_strategy, the same command goes on by itself",
}
# trl 1.16 data_utils.py:730-935: "wrapped" lets examples run into each other and cuts them;
# "bfd_split" starts a chunk in the middle of a thought.
EXACT_PACKING = "bfd"
SPECIAL_LORA = {"task_type": "CAUSAL_LM", "target_modules": "all-linear"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the libraries are called with."""

    lora: dict[str, Any] | None  # peft.LoraConfig; None: full fine-tuning
    sft: dict[str, Any]  # trl.SFTConfig, without output_dir


def checked(recipe: StudentRecipe, path: Path) -> Options:
    """The recipe's options with ours beneath them; ``path`` is the recipe's file, for the errors.

    Raises:
        UserError: a key that peft or trl does not have, a value of the wrong kind, or a key that
            distill settles itself.
    """
    lora_config, sft_config = _configs()
    _check(recipe.sft, sft_config, f"{path}: sft")
    for key, reason in SETTLED.items():
        if key in recipe.sft:
            msg = f"{path}: sft.{key}: not for a recipe: {reason}"
            raise UserError(msg)
    if recipe.sft.get("packing_strategy", EXACT_PACKING) != EXACT_PACKING:
        msg = f"{path}: sft.packing_strategy: {recipe.sft['packing_strategy']!r} cuts traces; bfd"
        raise UserError(msg + " keeps them whole")
    if recipe.quantize and recipe.lora is None:
        msg = f"{path}: quantize: {recipe.quantize} weights cannot be trained; add lora:"
        raise UserError(msg)
    if recipe.lora is None:
        return Options(lora=None, sft=_sft(recipe))
    _check(recipe.lora, lora_config, f"{path}: lora")
    return Options(lora={**SPECIAL_LORA, **recipe.lora}, sft=_sft(recipe))


def _configs() -> tuple[type[Any], type[Any]]:
    try:
        from peft import LoraConfig
    except ImportError:
        raise missing_extra(module="peft", extra="train") from None
    try:
        from trl import SFTConfig
    except ImportError:
        raise missing_extra(module="trl", extra="train") from None
    return LoraConfig, SFTConfig


def _sft(recipe: StudentRecipe) -> dict[str, Any]:
    ours = {
        "report_to": "none",
        "save_strategy": "no",  # the student is saved once, at the end
        "logging_steps": 1,  # the loss of every step, for the first and the last one
        "logging_nan_inf_filter": False,  # a loss of nan must be seen, not averaged away
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,  # all are used; looking for them costs a pass
        "seed": 42,
    }
    return {**ours, **recipe.sft}


def _check(values: Mapping[str, Any], config: type[Any], at: str) -> None:
    known = {field.name for field in dataclasses.fields(config) if field.init}
    for key in values:
        if key not in known:
            owner = f"{_version(config)}'s {config.__name__}"
            msg = f"{at}.{key}: no such option of {owner}; {nearest(key, known)}"
            raise UserError(msg)
    hints = get_type_hints(config)
    for key, value in values.items():
        if (wanted := _wrong_kind(value, hints[key])) is not None:
            msg = f"{at}.{key}: {value!r:.80}: {wanted}"
            raise UserError(msg)


def _version(config: type[Any]) -> str:
    from importlib.metadata import version

    package = config.__module__.partition(".")[0]
    return f"{package} {version(package)}"


def _wrong_kind(value: Any, hint: Any) -> str | None:
    """What the value should have been; None if it is right, or if the hint is beyond pydantic."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(strict=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            return None
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return None
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        said = dict.fromkeys(one["msg"] for one in error.errors())
        message = " or ".join(said)
        return message[0].lower() + message[1:]
    return None
