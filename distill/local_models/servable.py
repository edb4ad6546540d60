"""Prepares a folder that a server can serve faithfully and safely.

It is a temporary folder of links to those files of a checked model that may be read, so the server
does not see a pickle or a program beside them. Two things are changed in it, never in the user's
folder. An adapter is merged into its base, because servers want whole weights. And ``do_sample`` is
set in the generation config, because ``transformers serve`` ignores a request's temperature
otherwise.
"""

import sys
from pathlib import Path
from typing import Any

from distill.files.write import read_json, write_json
from distill.local_models.allowed import read_names
from distill.local_models.generation import GENERATION
from distill.local_models.open import OR_ADAPTER, Model, opened
from distill.local_models.weights import run_quietly
from distill.recipes.teachers import Engine


def served_name(model: Model) -> str:
    """What requests call it: a Hub id, or a folder's name made safe for servers."""
    return model.name if model.revision is not None else _plain(model.folder.name)


def servable(model: Path | Model, *, engine: Engine, work: Path) -> Path:
    """``work / served_name``: a folder that ``engine`` can serve as the model is meant.

    Raises:
        UserError: it is not a model's folder, has code or pickled weights, or the adapter cannot be
            merged.
    """
    found = opened(model, at="serve.model", needed=OR_ADAPTER).with_weights()
    view = work / served_name(found)
    view.parent.mkdir(exist_ok=True)
    if found.base is not None:
        merged(found, view)
    else:
        _link(found.folder, view)
    if engine == "transformers":
        _let_sample(view)
    return view


def merged(adapter: Model, folder: Path) -> None:
    """Writes an adapter's whole model into ``folder``, checked, in a process of its own.

    Raises:
        UserError: it cannot be merged, or the whole model would answer differently.
    """
    command = [sys.executable, "-P", "-m", "distill.local_models.merge"]
    failed = f"{adapter.folder}: the adapter cannot be merged into its base"
    run_quietly([*command, str(adapter.folder), str(folder)], failed=failed)


def _plain(name: str) -> str:
    """The name without what transformers reads as a revision (@) or a file (:)."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _link(folder: Path, view: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    for name in read_names(file.relative_to(folder).as_posix() for file in files):
        (view / name).parent.mkdir(parents=True, exist_ok=True)
        (view / name).symlink_to((folder / name).resolve())


def _let_sample(view: Path) -> None:
    config: dict[str, Any] = read_json(view / GENERATION) or _ends(view)
    (view / GENERATION).unlink(missing_ok=True)
    write_json(view / GENERATION, {**config, "do_sample": True})


def _ends(folder: Path) -> dict[str, Any]:
    """What transformers derives from config.json if the folder has no generation config."""
    config = read_json(folder / "config.json") or {}
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: config[key] for key in keys if config.get(key) is not None}
