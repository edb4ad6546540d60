"""How a model ends and samples its answers: its generation config, made such that it can be saved.

transformers loads many configs that it refuses to save: a temperature without ``do_sample``, a
beam's option without beams. A few it does not even load. (5.24, generation/configuration_utils.py)
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distill.local_models.allowed import CONFIG
from distill.local_models.folder import parsed

log = logging.getLogger("distill")
GENERATION = "generation_config.json"
# Each with the values that leave sampling as it is, by which one sees whether it was meant.
SAMPLING: Mapping[str, tuple[float, ...]] = {
    **dict.fromkeys(("temperature", "top_p", "typical_p"), (1.0,)),
    **dict.fromkeys(("min_p", "top_h", "epsilon_cutoff", "eta_cutoff"), (0.0,)),
    "top_k": (50, 0, -1),  # transformers' default; none, as transformers and as vLLM write it
}
SWITCHES = ("do_sample", "num_beams", "use_cache")  # others depend on them, so they come first
# About one call of generate(), or a server, or the file itself: not about the model.
ASIDE = (
    *("return_dict_in_generate", "output_scores", "output_logits", "output_attentions"),
    *("output_hidden_states", "compile_config", "continuous_batching_config"),
    *("transformers_version", "_commit_hash", "_from_model_config"),
    # ways of searching that are no longer in transformers, whose generate() refuses them
    *("low_memory", "penalty_alpha", "dola_layers", "diversity_penalty", "num_beam_groups"),
    *("constraints", "force_words_ids"),
)


def stored(folder: Path) -> dict[str, Any]:
    """The values in a model's generation config; without one, those in its config.json.

    ``folder`` is one that was found acceptable.
    """
    from transformers import GenerationConfig

    if (folder / GENERATION).is_file():
        return parsed(folder / GENERATION)
    whole = parsed(folder / CONFIG)
    inner = whole.get("text_config")
    found = {**(inner if isinstance(inner, dict) else {}), **whole}
    return {key: found[key] for key in GenerationConfig().to_dict() if key in found}


def savable(values: Mapping[str, Any], *, of: str) -> Any:
    """A GenerationConfig that means the same as ``values`` and that transformers saves.

    Values for sampling turn do_sample on, unless it was turned off. What has no effect, or is not
    possible, is left out and logged. ``of`` is the model's name.
    """
    from transformers import GenerationConfig

    given = {k: v for k, v in _sampling(values).items() if v is not None and k not in ASIDE}
    kept: dict[str, Any] = {}
    for key in sorted(given, key=lambda name: name not in SWITCHES):
        if _is_savable({**kept, key: given[key]}):
            kept[key] = given[key]
    if lost := sorted(given.keys() - kept.keys()):
        said = "has no effect, or is not possible"
        log.info("%s: %s: left out, because it %s: %s", of, GENERATION, said, ", ".join(lost))
    return GenerationConfig(**kept)


def _sampling(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with do_sample as they mean it."""
    given = dict(values)
    if given.get("top_k") == -1:  # vLLM's spelling of none; generate() refuses it
        given["top_k"] = 0
    if given.get("temperature") == 0:  # vLLM's spelling of greedy; generate() refuses it
        given["do_sample"] = False
    meant = any(given.get(key) not in (None, *no) for key, no in SAMPLING.items())
    if meant and given.get("do_sample") is None and not given.get("penalty_alpha"):
        given["do_sample"] = True
    return given


def _is_savable(values: Mapping[str, Any]) -> bool:
    from transformers import GenerationConfig

    if any(hasattr(GenerationConfig, key) for key in values):  # it would replace a method
        return False
    try:
        made = GenerationConfig(**values)
        made.validate(strict=True)
        made.to_json_string()
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def stop_at(config: Any, ends: Iterable[int | None], *, pad: int | None) -> Any:
    """The same GenerationConfig, which stops at ``ends`` and where it stopped before."""
    old = config.eos_token_id
    others = old if isinstance(old, list) else [old]
    found = [one for one in dict.fromkeys([*ends, *others]) if isinstance(one, int)]
    config.eos_token_id = found if len(found) > 1 else next(iter(found), None)
    if pad is not None:
        config.pad_token_id = pad
    if config.suppress_tokens:  # an end that may not be written ends nothing
        config.suppress_tokens = [one for one in config.suppress_tokens if one not in found]
    return config
