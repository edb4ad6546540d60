"""Checks a model's folder on this machine: its files, its configs, and where its links lead."""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from distill.local_models.allowed import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    CONFIG,
    INDEX,
    WHOLE,
    is_config,
    read_names,
    wrong_config,
    wrong_index,
    wrong_names,
    wrong_weights,
)

MOST_FILES = 100_000  # of a folder: with more it is a disk, not a model
MOST_BYTES = 64 * 2**20  # of one config or index: the largest known index is 15 MB


def wrong_folder(folder: Path, *, needed: Collection[str] = (CONFIG, ADAPTER)) -> str | None:
    """Why a model's folder is not acceptable, leaving its weights aside; None if it is.

    Args:
        folder: with all links resolved.
        needed: it must have one of these files.
    """
    if not any((folder / name).is_file() for name in needed):
        return f"there is no {' and no '.join(needed)} in it"
    here = list(_files(folder))
    if len(here) >= MOST_FILES:
        return f"there are {MOST_FILES} files in it or more, so it is not a model's own folder"
    if said := wrong_names(here) or _wrong_files(folder, here):
        return said
    for name in filter(is_config, read_names(here)):
        value = _parsed(folder / name)
        if isinstance(value, str):
            return f"{name}: {value}"
        if said := wrong_config(name, value):
            return said
    return None


def lacking_weights(folder: Path) -> str | None:
    """Why an otherwise acceptable folder has no weights to load; None if it has some."""
    names = read_names(entry.name for entry in folder.iterdir() if entry.is_file())
    if (folder / INDEX).is_file() and (said := wrong_index(_parsed(folder / INDEX), names)):
        return said
    everything = [entry.name for entry in folder.iterdir()]
    for config, needed in ((CONFIG, (WHOLE, INDEX)), (ADAPTER, (ADAPTER_WEIGHTS,))):
        if (folder / config).is_file() and (said := wrong_weights(everything, needed=needed)):
            return said
    return None


def parsed(path: Path) -> dict[str, Any]:
    """The JSON object in a file that was found acceptable."""
    value = _parsed(path)
    return value if isinstance(value, dict) else {}


def _files(folder: Path) -> Iterator[str]:
    """Every file and link below the folder, up to MOST_FILES; links are not followed."""
    left = MOST_FILES
    for where, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(where) / name).relative_to(folder).as_posix()
            left -= 1
            if not left:
                return


def _wrong_files(folder: Path, names: Collection[str]) -> str | None:
    allowed = [folder]
    if folder.parent.name == "snapshots":  # in the Hub's cache the files are in blobs/
        allowed += [place / "blobs" for place in folder.parents[1:3]]
    for name in names:
        path = folder / name
        if path.exists() and not (path.is_file() or path.is_dir()):
            return f"{name!r:.80} is a pipe, a socket or a device"
        if path.is_symlink():
            target = path.resolve()
            if not any(target.is_relative_to(place) for place in allowed):
                return f"{name!r:.80} is a link out of the folder; put the file itself there"
    return None


def _parsed(path: Path) -> Any:
    """The value in a JSON file, or a text that says why it cannot be read."""
    if path.stat().st_size > MOST_BYTES:
        return f"has more than {MOST_BYTES // 2**20} MB"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"cannot be read ({type(error).__name__})"
