"""A model that a key of a recipe names: a folder, file, shipped name or Hub id. Loads none."""

import logging
from pathlib import Path

from distill.files.hub import hub
from distill.local_models.weights import SHIPPED
from distill.recipes.places import HUB_ID, WEIGHTS, Origin, missing, place

log = logging.getLogger("distill")


def model_at(name: str, key: str, origin: Origin) -> str:
    """What is to be loaded; a recipe's own path is whole, its links resolved.

    What the user gave is left as it is: the loaders say what is wrong with it.

    Raises:
        UserError: it is not the recipe's to read, or neither there, shipped nor a Hub id.
    """
    if origin.gave(key) or name in SHIPPED:
        return name
    if (found := place(name, key, origin, WEIGHTS)) is not None:
        return str(found)
    if HUB_ID.fullmatch(name) is None or Path(name).exists():  # loaders take a folder for the id
        raise missing(name, key, origin, "no such folder, shipped name or Hub id (owner/name)")
    return name


def say_hub(model: str) -> None:
    """Says where a model comes from that is no file or folder here; nothing of a shipped one."""
    if model not in SHIPPED and HUB_ID.fullmatch(model) and not Path(model).exists():
        log.info("reads %s from %s", model, hub())
