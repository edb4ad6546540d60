"""Reads how many positions a base has, and gives it more where the recipe says so."""

from typing import Any

from distill.errors import UserError, first_line
from distill.local_models.open import Model
from distill.recipes.positions import Positions


def config_of(base: Model, positions: Positions | None = None) -> Any:
    """The base's config with the recipe's ``positions`` in it; the base's files stay as they are.

    Raises:
        UserError: no readable config, or one whose positions cannot be changed.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base.source, **base.options)
    except (OSError, ValueError, StrictDataclassError) as error:
        msg = f"base: {base.name}: cannot be loaded: {first_line(error)}; "
        msg += "give a folder, a Hub id or a shipped name"
        raise UserError(msg) from None
    # about one call, not about the model: the first is refused with sdpa when it is saved
    config.output_attentions = config.output_hidden_states = False
    config.return_dict = True
    if positions is not None:
        _extend(config.get_text_config(), positions, base.name)
    return config


def longest(config: Any) -> int | None:
    """The context length in tokens, prompt and answer; None if unlimited."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else None


def _extend(config: Any, positions: Positions, name: str) -> None:
    rope, old = getattr(config, "rope_parameters", None), longest(config)
    turned = positions.rope_theta or positions.rope_scaling
    if not rope or old is None or (turned and "rope_type" not in rope):  # a dict for each layer
        msg = f"positions: {name} ({config.model_type}) has no rotary positions that are the same "
        msg += "in every layer, so they cannot be changed; leave positions: out"
        raise UserError(msg)
    new = positions.max_position_embeddings
    if scaling := positions.rope_scaling:
        known = scaling.original_max_position_embeddings
        known = known or rope.get("original_max_position_embeddings") or old
        reach = int(scaling.factor * known)
        new = new or reach
        if new > reach:
            msg = f"positions.rope_scaling.factor: {scaling.factor:g} x {known:,} positions is "
            msg += f"{reach:,}, less than max_position_embeddings {new:,}; set {new / known:g}"
            raise UserError(msg)
        kept = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
        rope = {**kept, **scaling.model_dump(exclude_none=True)}
        if scaling.rope_type != "linear":
            rope["original_max_position_embeddings"] = known
    if positions.rope_theta is not None:
        rope = {**rope, "rope_theta": positions.rope_theta}
    config.max_position_embeddings, config.rope_parameters = new or old, rope
