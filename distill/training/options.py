"""The ``lora:`` and ``sft:`` of a recipe, checked against the installed libraries.

Options that ``recipes.sft`` and ``recipes.lora`` know to be safe are passed on unchanged. There are
defaults here only where the library's own would lose data, print, or use the network.
"""

import dataclasses
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from distill.errors import UserError, missing_extra, nearest
from distill.local_models.bits import import_bitsandbytes
from distill.recipes import lora, sft
from distill.recipes.shapes import Shape
from distill.recipes.students import StudentRecipe

# trl 1.16 data_utils.py:730-935: "wrapped" lets examples run into each other and cuts them;
# "bfd_split" starts a chunk in the middle of a thought.
EXACT_PACKING = "bfd"
# What transformers fetches as a kernel of the Hub, and runs, if the package is not installed.
NEEDS: Mapping[str, str] = {
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
}
SPECIAL_LORA = {"task_type": "CAUSAL_LM", "target_modules": "all-linear"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the libraries are called with."""

    lora: dict[str, Any] | None  # peft.LoraConfig; None: full fine-tuning
    sft: dict[str, Any]  # trl.SFTConfig, without output_dir


def checked(recipe: StudentRecipe, path: Path, *, by_user: Collection[str] = ()) -> Options:
    """The recipe's options over our defaults; ``path`` is the recipe's file, for errors.

    ``by_user`` are the keys that --set gave: only these may report the training to a service.

    Raises:
        UserError: a key that peft or trl does not have, a value of the wrong kind, a key that
            distill sets itself, or one that is not known to be safe.
    """
    lora_config, sft_config = _configs()
    _refuse_unknown(recipe.sft, sft_config, f"{path}: sft")
    _refuse_sending(recipe, path, by_user)
    given = {key: value for key, value in recipe.sft.items() if key not in sft.SENDS}
    _refuse_unsafe(given, sft_config, (sft.ALLOWED, sft.REFUSED), f"{path}: sft")
    _refuse_fetched(recipe, path)
    if recipe.sft.get("packing_strategy", EXACT_PACKING) != EXACT_PACKING:
        msg = f"{path}: sft.packing_strategy: {recipe.sft['packing_strategy']!r} cuts traces; bfd"
        raise UserError(msg + " keeps them whole")
    if recipe.quantize and recipe.lora is None:
        msg = f"{path}: quantize: {recipe.quantize} weights cannot be trained; add lora:"
        raise UserError(msg)
    if recipe.positions and recipe.lora is not None:
        msg = f"{path}: positions: an adapter cannot hold them, so it would be asked at its base's "
        msg += "own; next: lora: null, or as base: a model whose config.json has them"
        raise UserError(msg)
    if recipe.lora is None:
        return Options(lora=None, sft=_sft(recipe))
    _refuse_unknown(recipe.lora, lora_config, f"{path}: lora")
    _refuse_unsafe(recipe.lora, lora_config, (lora.ALLOWED, lora.REFUSED), f"{path}: lora")
    return Options(lora={**SPECIAL_LORA, **recipe.lora}, sft=_sft(recipe))


def _refuse_sending(recipe: StudentRecipe, path: Path, by_user: Collection[str]) -> None:
    for key, why in sft.SENDS.items():
        value = recipe.sft.get(key)
        stays = value is None or (key == "report_to" and sft.STAYS_HERE(value) is None)
        named = any(f"{name}.".startswith(f"sft.{key}.") for name in by_user)  # a list, by item
        if not stays and not named:
            typed = value if isinstance(value, str) and value.isalnum() else "…"
            msg = (
                f"{path}: sft.{key}: {value!r:.60}: not for a recipe: {why}; next, if you want "
                f"that: --set sft.{key}={typed}"
            )
            raise UserError(msg)


def _refuse_unsafe(
    values: Mapping[str, Any],
    config: type[Any],
    tables: tuple[Mapping[str, Shape], Mapping[str, str]],
    at: str,
) -> None:
    allowed, refused = tables
    hints = get_type_hints(config)
    for key, value in values.items():
        if key in refused:
            msg = f"{at}.{key}: not for a recipe: {refused[key]}"
            raise UserError(msg)
        if key not in allowed:
            msg = f"{at}.{key}: not known to be safe; {nearest(key, allowed)}; next: leave it out"
            raise UserError(msg)
        if (wanted := _wrong_kind(value, hints[key])) is not None:
            msg = f"{at}.{key}: {value!r:.80}: {wanted}"
            raise UserError(msg)
        if value is not None and (said := allowed[key](value)):
            msg = f"{at}.{key}: {value!r:.80}: not known to be safe: must be {said}"
            raise UserError(msg)


def _refuse_fetched(recipe: StudentRecipe, path: Path) -> None:
    way = (recipe.sft.get("model_init_kwargs") or {}).get("attn_implementation")
    package = NEEDS.get(str(way))
    if package is not None and find_spec(package) is None:
        msg = (
            f"{path}: sft.model_init_kwargs: attn_implementation {way} needs {package}, "
            "a package that is not installed here; next: install it, or leave this out"
        )
        raise UserError(msg)


def _configs() -> tuple[type[Any], type[Any]]:
    import_bitsandbytes()
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
    defaults = {
        "report_to": "none",
        "save_strategy": "no",  # the student is saved once, at the end
        "logging_steps": 1,  # the loss of every step, for the first and the last one
        "logging_nan_inf_filter": False,  # a loss of nan must be seen, not averaged away
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,  # all are used, and searching costs a pass
        "seed": 42,
    }
    return {**defaults, **recipe.sft}


def _refuse_unknown(values: Mapping[str, Any], config: type[Any], at: str) -> None:
    known = {field.name for field in dataclasses.fields(config) if field.init}
    for key in values:
        if key not in known:
            owner = f"{_version(config)}'s {config.__name__}"
            msg = f"{at}.{key}: no such option of {owner}; {nearest(key, known)}"
            raise UserError(msg)


def _version(config: type[Any]) -> str:
    from importlib.metadata import version

    package = config.__module__.partition(".")[0]
    return f"{package} {version(package)}"


def _wrong_kind(value: Any, hint: Any) -> str | None:
    """What the value must be; None if it is right, or if pydantic cannot check the hint."""
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
