"""The folder of a result: what in it may be replaced, and when it is complete."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.find import data_files, searched
from distill.files.inputs import Data, inputs_of
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import write_json
from distill.filtering.judge.votes import FOLDER as JUDGED
from distill.filtering.stored import FOLDER as SIGNALS
from distill.filtering.units import Unit
from distill.filtering.write import DROPPED, KEPT, SHUFFLING

REPORT = "report.json"
DUPLICATES = "duplicates.parquet"
UNFINISHED = ".unfinished"  # in OUT from the first deletion until the report is written
ROWS = ".rows"  # DATA in our schema, if it was in another
TEXTS = ".texts"  # of candidates for near copies
REPLACED = (KEPT, DROPPED, DUPLICATES)
OURS = (*REPLACED, SIGNALS)
SCRATCH = (ROWS, TEXTS, SHUFFLING, JUDGED)


def refuse_own_input(data: Data, folder: Path) -> None:
    """Refuses an output folder that would replace the input, or that lies inside it.

    Raises:
        UserError: a file of DATA is in kept/, dropped/ or signals/ of the result's folder; or the
            result's folder is in the folder whose files are DATA.
    """
    for one in inputs_of(data):
        _refuse_input(one.data, folder)


def _refuse_input(data: str | Path, folder: Path) -> None:
    replaced = [(folder / name).resolve() for name in OURS]
    files = data_files(data)
    for path in files:
        places = (path.resolve(), path.parent.resolve() / path.name)  # a link may lead elsewhere
        if any(place.is_relative_to(part) for place in places for part in replaced):
            msg = (
                f"{path}: is in the result that would be replaced; choose another -o than {folder}"
            )
            raise UserError(msg)
    if (read := searched(Path(data), files)) and folder.resolve().is_relative_to(read):
        msg = f"{folder}: is in {data}, so its files would be read as DATA; choose another -o"
        raise UserError(msg)


def refuse_unsafe(folder: Path) -> None:
    """Refuses to replace what ``distill filter`` did not make.

    Raises:
        UserError: there are folders or a report of the same names that distill did not make, or a
            link in place of one: its target would not be removed, and would be taken for ours.
    """
    for name in (*OURS, *SCRATCH):
        if (folder / name).is_symlink():
            msg = f"{folder / name}: is a link; remove it, or make {folder} itself a link"
            raise UserError(msg)
    if not is_ours(folder, {REPORT: "fingerprint"}, marker=UNFINISHED):
        there = (folder / name for name in (*OURS, REPORT))
        refuse_foreign((path for path in there if path.exists()), by="distill filter")


def clear(folder: Path) -> None:
    """Removes an earlier or interrupted result; the report first, because it means "done".

    What was measured stays; ``stored`` knows whether it still holds.

    Raises:
        UserError: a part cannot be removed; its rows would be taken for the new result's.
    """
    (folder / UNFINISHED).touch()
    (folder / REPORT).unlink(missing_ok=True)
    (folder / DUPLICATES).unlink(missing_ok=True)
    for name in (KEPT, DROPPED, SHUFFLING, TEXTS):
        _remove(folder / name)


def finish(folder: Path, units: Sequence[Unit], report: dict[str, Any]) -> None:
    """Removes scratch folders and leftovers, then writes the report, which means "done"."""
    names = {f"{unit.name}.parquet" for unit in units}
    for path in (folder / SIGNALS).iterdir():
        if path.name not in names:  # of a larger set that was here before
            path.unlink()
    for name in (ROWS, SHUFFLING, JUDGED):
        _remove(folder / name)
    write_json(folder / REPORT, report)
    (folder / UNFINISHED).unlink()


def _remove(path: Path) -> None:
    """Removes a folder, if it is there."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        msg = f"{path}: cannot be removed: {error.strerror}; remove it, or choose another -o"
        raise UserError(msg) from None
