"""Finds the DATA that a key of a recipe names: a file, a folder, a pattern or hf://."""

from pathlib import Path

from distill.files.find import HUB, SUFFIXES, matching
from distill.recipes.places import Kind, Origin, own, pattern, place

ROWS = "JSONL(.gz, .zst), Parquet or CSV"
TABLE = Kind(wanted=ROWS, suffixes=SUFFIXES)
DATA = Kind(wanted=f"{ROWS}, or a folder", suffixes=SUFFIXES, folder=True)
# Or a recipe with its questions.
BENCHMARK = Kind(wanted=f"{ROWS}, .yaml, or a folder", suffixes=(*SUFFIXES, ".yaml"), folder=True)


def data_at(text: str, key: str, origin: Origin, kind: Kind = DATA) -> str | Path | None:
    """The DATA that a value names, for ``data_files``; None if nothing is there.

    Raises:
        UserError: the recipe may not read it.
    """
    if text.startswith(HUB):
        return text
    if (found := place(text, key, origin, kind)) is not None:
        return found
    if not any(char in text for char in "*?["):
        return None
    if origin.gave(key) and (Path(text).is_absolute() or matching(Path(text))):
        return Path(text)
    asked = pattern(text, key, origin)
    met = own(matching(asked), key, origin, kind)
    return asked if met else None
