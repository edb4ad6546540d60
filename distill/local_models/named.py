"""Finds the model that a key of a recipe names: a folder, file, shipped name or Hub id."""

import logging
from pathlib import Path

from distill.files.hub import hub
from distill.local_models.weights import SHIPPED
from distill.recipes.places import HUB_ID, WEIGHTS, Origin, missing, place

log = logging.getLogger("distill")


def model_at(name: str, key: str, origin: Origin) -> str:
    """The model to load; a recipe's own path is made absolute, with its links resolved.

    What the user gave is left as it is; the loaders report what is wrong with it.

    Raises:
        UserError: the recipe may not read it, or it is neither a folder, a shipped name nor a
            Hub id.
    """
    if origin.gave(key) or name in SHIPPED:
        return name
    if (found := place(name, key, origin, WEIGHTS)) is not None:
        return str(found)
    if HUB_ID.fullmatch(name) is None or Path(name).exists():  # loaders prefer a folder to the id
        raise missing(name, key, origin, "no such folder, shipped name or Hub id (owner/name)")
    return name


def say_hub(model: str) -> None:
    """Logs which Hub a model comes from, unless it is shipped or on this machine."""
    if model not in SHIPPED and HUB_ID.fullmatch(model) and not Path(model).exists():
        log.info("reads %s from %s", model, hub())
