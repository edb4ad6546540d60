"""Checks whether distill made the files in a folder, and refuses to replace others."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from distill.errors import UserError
from distill.files.write import read_json


def is_ours(folder: Path, signed: Mapping[str, str], *, marker: str | None = None) -> bool:
    """Whether one of our JSON files is in ``folder``, or the mark of an interrupted command.

    ``signed`` maps each file's name to a key that only our file of that name has. The mark is
    checked last, because other processes of a training ask while the first one writes.
    """
    for name, key in signed.items():
        found = read_json(folder / name)
        if isinstance(found, dict) and key in found:
            return True
    return marker is not None and (folder / marker).exists()


def refuse_foreign(paths: Iterable[Path], *, by: str) -> None:
    """Refuses to replace or mix with files that are not ours.

    Raises:
        UserError: there is such a path; names the first one and the command.
    """
    for path in paths:
        msg = f"{path}: was not made by {by}; move it away, or choose another -o"
        raise UserError(msg)
