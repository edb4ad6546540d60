"""Refuses DATA that nobody means to train on: benchmark answers, unfiltered and dropped traces.

It is known by where a file lies or by what it says of itself, so a glob, a copy or a folder above
it makes no difference.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from distill.errors import UserError
from distill.files.columns import are_ours
from distill.files.find import HUB, data_files, left_out, searched
from distill.files.footer import refuse_bomb
from distill.files.inputs import Input
from distill.files.slices import readable
from distill.files.write import read_json

log = logging.getLogger("distill")


def with_rows(one: Input) -> Input:
    """The same input; of a run that was filtered into its own folder, what was kept, as push does.

    Raises:
        UserError: it is a filtered set of which no row was kept.
    """
    folder = Path(one.data)
    report = read_json(folder / "report.json") if folder.is_dir() else None
    if not isinstance(report, dict) or not (folder / "kept").is_dir():
        return one
    if report.get("kept") == 0:
        reasons = report.get("reasons") or {}
        why = ", ".join(f"{reason} {count:,}" for reason, count in list(reasons.items())[:3])
        msg = f"{folder}: no row was kept ({why or 'none was read'}); see {folder}/report.json"
        raise UserError(msg + "; next: change the rules of its distill filter")
    if not (folder / "ledger.sqlite").exists() or (folder / ".unfinished").exists():
        return one  # a filtered set as usual
    return Input(folder / "kept", one.name)


def refuse_unsuitable(inputs: Sequence[Input], *, unfiltered: bool) -> None:
    """Raises for files of an evaluation; unless ``unfiltered``, for a run's and for dropped rows.

    Raises:
        UserError: there is such a file; names the input, and the command that filters it.
    """
    for one in (each for each in inputs if not str(each.data).startswith(HUB)):
        # a link may lead into a run
        places = [way for path in data_files(one.data) for way in (path.absolute(), path.resolve())]
        if folder := next(filter(None, map(_evaluation, places)), None):
            msg = (
                f"{one.data}: {_here(folder)} is of an evaluation: a student that is trained on a "
                "benchmark's questions cannot be measured by it any more; next: a run of distill "
                "generate on other questions"
            )
            raise UserError(msg)
        found = None if unfiltered else next(filter(None, map(_unfiltered, places)), None)
        if found is not None:
            msg = f"{one.data}: {found}; to train on them as they are: --unfiltered"
            raise UserError(msg)


def refuse_own_folder(inputs: Sequence[Input], out: Path) -> None:
    """Raises if the student would lie among the files that are read, or replace one of them.

    Raises:
        UserError: another -o is needed.
    """
    for one in inputs:
        data, target = Path(one.data), out.resolve()
        if data.is_dir() and data.resolve() == target:
            msg = f"{out}: is DATA's own folder; choose another -o, e.g. {data}/student"
            raise UserError(msg if searched(data, data_files(data)) != target else _among(out, one))
        files = data_files(one.data)
        if (read := searched(data, files)) and target.is_relative_to(read):
            raise UserError(_among(out, one))
        if inside := [p for p in files if p.resolve().parent == target]:
            msg = f"{inside[0]}: is in the student's folder {out}; choose another -o"
            raise UserError(msg)


def warn_of_mixed(inputs: Sequence[Input]) -> None:
    """Says if a folder has files of several kinds, which may hold the same rows, or of others."""
    for one in inputs:
        folder = Path(one.data)
        if not folder.is_dir():
            continue
        kinds = {path.suffix.lower(): path.name for path in reversed(data_files(folder))}
        if len(kinds) > 1:
            names = ", ".join(sorted(kinds.values()))
            log.warning("%s: has files of several kinds, and all are read: %s", folder, names)
        if names := ", ".join(left_out(folder)[:5]):
            log.warning("not read, of kinds that distill does not read: %s", names)


def _among(out: Path, one: Input) -> str:
    return f"{out}: is in {one.data}, so its files would be read as DATA; choose another -o"


def _evaluation(path: Path) -> Path | None:
    """The folder of the evaluation whose answers the file holds; None if it is of none."""
    for folder in _above(path):
        scores = read_json(folder / "scores.json")  # a student's folder may hold its scores too
        asked = (folder / "ledger.sqlite").exists() or path.is_relative_to(folder / "traces")
        if asked and isinstance(scores, dict) and "benchmarks" in scores:
            return folder
    return None


def _unfiltered(path: Path) -> str | None:
    """Why the file's rows are not for training; None if nothing says so."""
    folder = path.parent
    for above in _above(path):
        if above.name == "dropped" and (above.parent / "report.json").exists():
            return f"{path.name} holds what a filter dropped; next: train on {_here(above.parent)}"
        if above.name == "traces" and (above.parent / "ledger.sqlite").exists():
            return _as_run(path, above.parent)
        if above.name == "kept" and (above.parent / ".unfinished").exists():
            return f"the filter of {above.parent} is unfinished; next: run it again"
    manifest = read_json(folder / "manifest.json")
    if isinstance(manifest, dict) and {"plan", "shards"} <= set(manifest):  # a copy of traces/
        return _as_run(path, folder)
    return "its rows have a reason why a filter dropped them" if _are_dropped(path) else None


def _as_run(path: Path, folder: Path) -> str:
    command = shlex.join(["distill", "filter", "r1", str(_here(folder)), "-o"])
    return (
        f"{path.name} is of a run and unfiltered, wrong and cut answers included; "
        f"next: {command} SET, and train on SET"
    )


def _here(folder: Path) -> Path:
    """The folder as it can be typed from here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _above(path: Path) -> Iterator[Path]:
    """The folders that the file could be in, of a run or a set: its own, and two above."""
    yield from path.parents[:3]


def _are_dropped(path: Path) -> bool:
    if not path.name.lower().endswith(".parquet"):
        return False
    refuse_bomb(path)
    with readable(path, "Parquet"):
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        if schema.get("reason") != pl.String or not are_ours(schema):
            return False
        return bool(scan.select(pl.col("reason").is_not_null().any()).collect().item())
