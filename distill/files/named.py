"""DATA that a key of a recipe names: a file, a folder, a pattern or hf://. Reads none of it."""

from pathlib import Path

from distill.files.find import HUB, SUFFIXES, matching
from distill.recipes.places import Kind, Origin, own, pattern, place

DATA = Kind(suffixes=SUFFIXES, folder=True)
BENCHMARK = Kind(suffixes=(*SUFFIXES, ".yaml"), folder=True)  # or a recipe that has its questions


def data_at(text: str, key: str, origin: Origin, kind: Kind = DATA) -> str | Path | None:
    """What a value means, as ``data_files`` takes it; None if nothing is there.

    Raises:
        UserError: it is not the recipe's to read.
    """
    if text.startswith(HUB):
        return text
    if (found := place(text, key, origin, kind)) is not None:
        return found
    if not any(sign in text for sign in "*?["):
        return None
    asked = pattern(text, key, origin)
    if not (met := matching(asked)):
        return None
    if not origin.gave(key):
        own(met, key, origin, kind)
    return asked
