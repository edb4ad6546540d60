"""A model that a key of a recipe names: a folder, file, shipped name or Hub id. Loads none."""

from pathlib import Path

from distill.recipes.places import HUB_ID, WEIGHTS, Origin, missing, place
from distill.teachers.weights import SHIPPED


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
