"""Gives a server a folder that it can serve faithfully. Does not start the server.

Two things are mended, in a temporary folder, never in the user's: servers want whole weights, so an
adapter is merged into its base; and ``transformers serve`` ignores a request's temperature unless
the model's generation config says ``do_sample``, so it is made to say so.
"""

import sys
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.write import read_json, write_json
from distill.recipes.teachers import Engine
from distill.teachers.weights import run_quietly

ADAPTER = "adapter_config.json"
GENERATION = "generation_config.json"


def servable(folder: Path, *, engine: Engine, work: Path) -> Path:
    """``folder`` itself if ``engine`` can serve it as it is, else a mended one inside ``work``.

    Raises:
        UserError: it is no model folder, or the adapter cannot be merged.
    """
    if (folder / ADAPTER).is_file():
        return _merged(folder, work / _plain(folder.name))
    if not (folder / "config.json").is_file():
        msg = f"serve.model: {folder}: no config.json and no {ADAPTER} in it; "
        raise UserError(msg + "next: name the folder that distill train wrote, or a Hub id")
    return _sampling(folder, work / _plain(folder.name)) if engine == "transformers" else folder


def _plain(name: str) -> str:
    """A name free of what transformers reads as a revision (@) or a file (:)."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _sampling(folder: Path, view: Path) -> Path:
    """Links to everything in ``folder``, but a generation config that samples."""
    view.mkdir()
    for file in folder.iterdir():
        if file.name != GENERATION:
            (view / file.name).symlink_to(file.resolve())
    config: dict[str, Any] = read_json(folder / GENERATION) or _ends(folder)
    write_json(view / GENERATION, {**config, "do_sample": True})
    return view


def _ends(folder: Path) -> dict[str, Any]:
    """What transformers would derive from config.json had the folder no generation config."""
    config = read_json(folder / "config.json") or {}
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: config[key] for key in keys if config.get(key) is not None}


def _merged(adapter: Path, whole: Path) -> Path:
    command = [sys.executable, "-P", "-m", "distill.teachers.merge", str(adapter), str(whole)]
    run_quietly(command, failed=f"{adapter}: the adapter cannot be merged into its base")
    return whole
