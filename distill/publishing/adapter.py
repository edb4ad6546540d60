"""Rewrites an adapter's config so that others can load it: with a Hub id as its base, not a path.

The user's file is not changed, and the Hub is not asked whether the id exists.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from distill.credentials.find import without_keys
from distill.errors import UserError
from distill.publishing.student import base_of
from distill.recipes.places import HUB_ID

log = logging.getLogger("distill")
CONFIG = "adapter_config.json"
KEY = "base_model_name_or_path"  # peft's
# The original models of shipped names, before they were quantised to 4 bits.
ORIGINALS = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}


def base_on_hub(config: Any, path: Path, train: Mapping[str, Any]) -> str | None:
    """The Hub id to put into an adapter's config instead of a path; None if it holds no path.

    ``config`` is the content of ``path``, and ``train`` the student's train.json.

    Raises:
        UserError: the base is a folder, which nobody else has.
    """
    named = config.get(KEY) if isinstance(config, dict) else None
    if not isinstance(named, str) or not named or HUB_ID.fullmatch(named):
        return None
    base = base_of(train) or ""
    original = ORIGINALS.get(base)
    if original is not None:
        log.info(
            "%s: sent with %s: %s, the original weights; it was trained on their 4-bit copy",
            *(CONFIG, KEY, original),
        )
        return original
    if HUB_ID.fullmatch(base) and not _is_folder(base, named):
        log.info("%s: sent with %s: %s in place of a path", CONFIG, KEY, base)
        return base
    msg = (
        f"{path}: {KEY}: {without_keys(named)}: a folder of this machine, so nobody else could "
        "load the adapter; next: train it with a Hub id as base:, or distill merge it and "
        "push that"
    )
    raise UserError(msg)


def with_base(config: Mapping[str, Any], base: str) -> bytes:
    """The adapter's config with ``base`` as its base; the rest is unchanged."""
    return orjson.dumps(
        {**config, KEY: base}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def _is_folder(base: str, path: str) -> bool:
    """Whether ``base``, though it looks like owner/name, was a relative path: models/mine."""
    return Path(path).parts[-2:] == Path(base).parts or Path(base).is_dir()
