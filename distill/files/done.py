"""Whether a folder already holds the result that a command is about to make."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from distill.errors import UserError
from distill.files.find import data_files
from distill.files.write import read_json


def fingerprint(**parts: Any) -> str:
    """16 hex digits that change when any of the parts (JSON values) changes."""
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """64 hex digits of the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest(data: str | Path) -> str:
    """16 hex digits of the sha256 of DATA's files, in order; their names do not count."""
    whole = hashlib.sha256()
    for path in data_files(data):
        whole.update(bytes.fromhex(file_digest(path)))
    return whole.hexdigest()[:16]


def is_done(manifest: Path, wanted: str, *, force: bool) -> bool:
    """Whether ``manifest`` (written last, with a ``fingerprint``) belongs to the wanted result.

    A fingerprint of null means that the result is unfinished and will be continued.

    Raises:
        UserError: the folder holds another result, and ``force`` is not set.
    """
    found = read_json(manifest)
    if found is None or force:
        return False
    if isinstance(found, dict) and "fingerprint" in found:
        if found["fingerprint"] is None:
            return False
        if found["fingerprint"] == wanted:
            return True
    msg = (
        f"{manifest.parent}: holds a result of another recipe, input, option or version; "
        "choose another -o, or --force to replace it"
    )
    raise UserError(msg)
