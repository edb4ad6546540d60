"""Training on from an earlier student or an adapter: what it was made of, and what must not change.

An adapter is trained further as it is: same rank, same layers, on the same base.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.done import file_digest
from distill.files.write import read_json
from distill.local_models.allowed import ADAPTER, ADAPTER_WEIGHTS
from distill.local_models.folder import parsed
from distill.local_models.open import Model
from distill.recipes.lora import ALLOWED, UNSET
from distill.training.options import Options
from distill.training.quiet import quiet
from distill.training.twin import adapter_twin

# Which layers get an adapter can be written in many ways, so the layers themselves are compared.
WHERE = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
# How the matrices start, and what peft is always told.
ASIDE = ("init_lora_weights", "task_type")
# What a student's train.json says about it that its successors repeat.
REMEMBERED = ("fingerprint", "examples", "trained_tokens", "steps", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What training starts from."""

    base: Model  # whole weights
    adapter: Model | None = None  # on the base; trained further
    base_model: str  # the model at the beginning of all training, as it was named then
    lineage: tuple[Mapping[str, Any], ...] = field(default=())  # earlier trainings, oldest first
    digest: str | None = None  # of the student that is trained further

    @property
    def words(self) -> Model:
        """Whose tokenizer and template are used."""
        own = self.adapter
        return own if own and (own.folder / "tokenizer_config.json").is_file() else self.base

    @property
    def top(self) -> Model:
        """What the recipe names as its base."""
        return self.adapter or self.base

    def values(self) -> dict[str, Any]:
        """What train.json says about it."""
        earlier = {"lineage": list(self.lineage)} if self.lineage else {}
        return {"base_model": self.base_model, **earlier}


def start(found: Model, *, named: str) -> Start:
    """What to start from: ``found`` is the base, student or adapter that a recipe names."""
    base, adapter = found.base or found, found if found.base else None
    told = read_json(found.folder / "train.json")
    told = told if isinstance(told, dict) and "fingerprint" in told else {}
    if not told and adapter is None:
        return Start(base=base, base_model=named)
    earlier = {key: told[key] for key in REMEMBERED if key in told}
    return Start(
        base=base,
        adapter=adapter,
        base_model=str(told.get("base_model", base.name)),
        lineage=(*told.get("lineage", ()), *([earlier] if earlier else ())),
        digest=told.get("fingerprint") or found.revision or _digest(found.folder),
    )


def _digest(folder: Path) -> str | None:
    weights = folder / ADAPTER_WEIGHTS
    return file_digest(weights)[:16] if weights.is_file() else None


def lora_of(adapter: Model) -> dict[str, Any]:
    """The options that an adapter was made with, as ``lora:`` of a recipe would say them."""
    config = parsed(adapter.folder / ADAPTER)
    said = {key: config[key] for key in ALLOWED if config.get(key) not in UNSET}
    return {"task_type": "CAUSAL_LM", **said}  # an adapter may lack it


def refuse_other_lora(
    given: Mapping[str, Any] | None, found: Start, options: Options, *, at: str
) -> None:
    """Raises if a recipe's ``lora:`` is not what the adapter that it continues has.

    ``options`` are the adapter's own; keys that the recipe leaves out are the adapter's, too.

    Raises:
        UserError: names the keys.
    """
    from peft import LoraConfig

    if not given or found.adapter is None or options.lora is None:
        return
    known = {one.name for one in dataclasses.fields(LoraConfig) if one.init}
    asked = LoraConfig(**{k: v for k, v in given.items() if k in known})
    own = LoraConfig(**options.lora)
    keys = [key for key in given if key not in (*WHERE, *ASIDE)]
    other = [key for key in keys if _plain(getattr(asked, key)) != _plain(getattr(own, key))]
    if where := [key for key in WHERE if key in given]:
        wanted = dataclasses.replace(options, lora={**options.lora, **_where(given)})
        with quiet():
            if _layers(found.base, wanted) != _layers(found.base, options):
                other += where
    if other:
        said = ", ".join(f"{key}: {given[key]!r:.40}" for key in other)
        msg = f"{at}: lora: {said}: not as in the adapter {found.adapter.name}, which is trained "
        raise UserError(msg + "further as it is; next: leave lora: out, or name its base as base:")


def _where(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"target_modules": "all-linear"} | {key: given.get(key) for key in WHERE if key in given}


def _layers(base: Model, options: Options) -> set[str]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = adapter_twin(base, options)
    return {name for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)}


def _plain(value: Any) -> Any:
    """The value in a form in which its order and what stands for nothing do not count."""
    if isinstance(value, (set, list, tuple)):
        return sorted(map(str, value)) or None
    return None if value in UNSET else value
