"""Gives a server a folder that it can serve faithfully and safely. Does not start the server.

The folder is a temporary one, of links to the files of a checked model that may be read: a pickle
or a program that lies beside them is not there for the server. Two things are changed in it, never
in the user's: servers want whole weights, so an adapter is merged into its base; and ``transformers
serve`` ignores a request's temperature unless the model's generation config says ``do_sample``, so
it is made to say so.
"""

import sys
from pathlib import Path
from typing import Any

from distill.files.write import read_json, write_json
from distill.local_models.allowed import read_names
from distill.local_models.open import OR_ADAPTER, Model, opened
from distill.local_models.weights import run_quietly
from distill.recipes.teachers import Engine

GENERATION = "generation_config.json"


def served_name(model: Model) -> str:
    """What requests call it: a Hub id, or a folder's name as servers can have it."""
    return model.name if model.revision is not None else _plain(model.folder.name)


def servable(model: Path | Model, *, engine: Engine, work: Path) -> Path:
    """``work / served_name``: a folder that ``engine`` can serve as the model is meant.

    Raises:
        UserError: it is no model folder, has code or pickles for weights, or the adapter cannot be
            merged.
    """
    found = opened(model, at="serve.model", needed=OR_ADAPTER).with_weights()
    view = work / served_name(found)
    view.parent.mkdir(exist_ok=True)
    if found.base is not None:
        return _merged(found.folder, view)
    _link(found.folder, view)
    if engine == "transformers":
        _let_sample(found.folder, view)
    return view


def _plain(name: str) -> str:
    """A name free of what transformers reads as a revision (@) or a file (:)."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _link(folder: Path, view: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    for name in read_names(file.relative_to(folder).as_posix() for file in files):
        (view / name).parent.mkdir(parents=True, exist_ok=True)
        (view / name).symlink_to((folder / name).resolve())


def _let_sample(folder: Path, view: Path) -> None:
    config: dict[str, Any] = read_json(folder / GENERATION) or _ends(folder)
    (view / GENERATION).unlink(missing_ok=True)
    write_json(view / GENERATION, {**config, "do_sample": True})


def _ends(folder: Path) -> dict[str, Any]:
    """What transformers would derive from config.json had the folder no generation config."""
    config = read_json(folder / "config.json") or {}
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: config[key] for key in keys if config.get(key) is not None}


def _merged(adapter: Path, whole: Path) -> Path:
    command = [sys.executable, "-P", "-m", "distill.local_models.merge", str(adapter), str(whole)]
    run_quietly(command, failed=f"{adapter}: the adapter cannot be merged into its base")
    return whole
