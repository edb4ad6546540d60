"""Finds the files that DATA on the command line means."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from distill.errors import UserError, first_line, missing_extra
from distill.files.hub import hub, quiet_client
from distill.files.write import read_json

log = logging.getLogger("distill")
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".csv")
# Read if the user names it, or a data set of the Hub has nothing else: in a folder of this machine
# it is often a description, or credentials.
WHOLE = (".json", ".json.gz", ".json.zst")
READ = (*SUFFIXES, *WHOLE)
CODE = (".pkl", ".pickle", ".py", ".pt", ".bin", ".joblib")  # pickles and scripts: never opened
# Other kinds of data: if they lie beside files that are read, they are reported, not passed over.
UNREAD = (
    *(".json", ".txt", ".tsv", ".arrow", ".feather", ".avro"),
    *(".xz", ".bz2", ".lz4", ".gz", ".zst", ".zip", ".tar", ".7z"),
)
# The subfolder with the rows of a run and of a filtered set, and the files that identify them.
MADE = {"traces": ("ledger.sqlite", "traces/manifest.json"), "kept": ("report.json",)}
# Files about a set or a model, without rows: our own, with a key that only ours have, and others'.
DESCRIBING = {
    "manifest.json": "shards",
    "report.json": "fingerprint",
    "train.json": "fingerprint",
    "scores.json": "fingerprint",
    "proof.json": "proved",
}
ABOUT = (
    *("dataset_info.json", "dataset_infos.json", "state.json", "config.json", "tokenizer.json"),
    *("generation_config.json", "tokenizer_config.json", "special_tokens_map.json"),
)
HUB = "hf://datasets/"


def data_files(data: str | Path) -> list[Path]:
    """The files behind a run, a filtered set, a file, a folder, a glob or hf://datasets/owner/name.

    Raises:
        UserError: there is nothing, or nothing that distill reads.
    """
    text = str(data)
    if text.startswith(HUB):
        return _from_hub(text.removeprefix(HUB))
    path = Path(text)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return [_known(path)]
    if found := matching(path):
        return [_known(p) for p in found]
    msg = f"{text}: no such file, folder or pattern; give a run, a Parquet or JSONL file, or {HUB}…"
    raise UserError(msg)


def matching(pattern: Path) -> list[Path]:
    """The files that a path with ``*``, ``?`` or ``[`` in it matches, by name.

    A part that begins with a dot only matches a pattern that does too.
    """
    if not any(char in str(pattern) for char in "*?["):
        return []
    relative = str(pattern.relative_to(pattern.anchor)) if pattern.anchor else str(pattern)
    with suppress(ValueError):  # not a pattern, e.g. a**
        found = Path(pattern.anchor or ".").glob(relative)
        shown = (p for p in found if all(_is_asked(part, pattern) for part in p.parts))
        return sorted(p for p in shown if p.is_file())
    return []


def _is_asked(part: str, pattern: Path) -> bool:
    dotted = (asked for asked in pattern.parts if asked.startswith("."))
    return not part.startswith(".") or any(fnmatchcase(part, asked) for asked in dotted)


def is_known(path: Path) -> bool:
    """Whether distill reads files of this name wherever they lie."""
    return path.name.lower().endswith(SUFFIXES)


def is_readable(path: Path) -> bool:
    """Whether distill reads a file of this name if it is named."""
    return path.name.lower().endswith(READ)


def _known(path: Path) -> Path:
    if not is_readable(path):
        why = "runs code when it is read" if path.name.lower().endswith(CODE) else "cannot be read"
        msg = f"{path}: this kind of file {why}; give one of {', '.join(READ)}"
        raise UserError(msg)
    return path


def _in_folder(folder: Path, *, whole: bool = False) -> list[Path]:
    """A run's traces/, a filtered set's kept/, or else every data file in the folder.

    With ``whole``, .json files count where there is nothing else.

    Hidden files, and those in hidden folders, are not data.
    """
    if (folder / "ledger.sqlite").exists() and not (folder / "traces" / "manifest.json").exists():
        msg = f"{folder}: this run has no exported traces yet; next: finish its distill generate"
        raise UserError(msg)
    if (folder / ".unfinished").exists():
        msg = f"{folder}: this filtered set is unfinished; next: run its distill filter again"
        raise UserError(msg)
    root = _root(folder)
    there = [p for p in sorted(root.rglob("*")) if not _is_hidden(p.relative_to(root))]
    if linked := [p for p in there if p.is_symlink() and p.is_dir()]:
        msg = f"{linked[0]}: a link to a folder is not followed; give that folder, or copy it here"
        raise UserError(msg)
    found = [p for p in there if p.is_file() and is_known(p)]
    if whole and not found:
        found = [p for p in there if p.is_file() and is_readable(p) and not _describes(p)]
    if root == folder:
        _refuse_unclear(folder, found)
    _refuse_missing(root, {p.relative_to(root).as_posix() for p in found})
    if not found:
        msg = f"{root}: no data in it; looked for {', '.join(SUFFIXES)}"
        if any(is_readable(path) and not _describes(path) for path in there):
            msg += f"; for its .json: give {root}/*.json"
        if saved := next((p.parent for p in there if p.name.endswith(".arrow")), None):
            how = f"datasets.load_from_disk({str(saved)!r}).to_parquet('rows.parquet')"
            msg += f"; for its .arrow, in Python: {how}"
        raise UserError(msg)
    return found


def searched(data: Path, files: Sequence[Path]) -> Path | None:
    """The folder that DATA's files are from: of a run its traces/, of a set its kept/; or None."""
    if not data.is_dir():
        return None
    inner = (data / part for part in MADE)
    read = (part for part in inner if all(path.is_relative_to(part) for path in files))
    return next(read, data).resolve()


def _root(folder: Path) -> Path:
    """Where its rows are: in a subfolder if it is a run or a filtered set, else in all of it."""
    marked = (n for n, marks in MADE.items() if any((folder / mark).exists() for mark in marks))
    return next((folder / name for name in marked if (folder / name).is_dir()), folder)


def _refuse_unclear(folder: Path, found: list[Path]) -> None:
    """Raises if it could be a run or filtered set without its manifest, or any folder of data."""
    for part in (folder / name for name in MADE if (folder / name).is_dir()):
        if beside := [path for path in found if not path.is_relative_to(part)]:
            msg = (
                f"{folder}: is {part.name}/ meant, or {beside[0].relative_to(folder)} beside it "
                f"too? give {part}, or a folder without it"
            )
            raise UserError(msg)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def left_out(data: str | Path) -> list[str]:
    """Files of a folder that look like data but are of a kind that is not read, by name."""
    folder = Path(data)
    if not folder.is_dir():
        return []
    root = _root(folder)
    shown = (p for p in root.rglob("*") if not _is_hidden(p.relative_to(root)))
    names = (p for p in shown if p.is_file() and p.name.lower().endswith(UNREAD))
    return sorted(str(p) for p in names if not is_known(p) and not _describes(p))


def _describes(path: Path) -> bool:
    """Whether it is a file about a set, which holds no rows."""
    found = read_json(path) if (key := DESCRIBING.get(path.name)) else None
    return path.name in ABOUT or (isinstance(found, dict) and key in found)


def _refuse_missing(root: Path, found: set[str]) -> None:
    """Raises if a shard is missing that the manifest of an export names."""
    manifest = read_json(root / "manifest.json")
    shards = manifest.get("shards") if isinstance(manifest, dict) else None
    missing = sorted(set(shards) - found) if isinstance(shards, dict) else []
    if missing:
        msg = f"{root / missing[0]}: missing, but manifest.json names it; export or copy it again"
        raise UserError(msg)


def _from_hub(repo: str) -> list[Path]:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (  # type: ignore[attr-defined]
            HFValidationError,
            HTTPError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise missing_extra(module="huggingface_hub", extra="hub") from None
    log.info("reads %s%s from %s", HUB, repo, hub())
    patterns = [f"*{suffix}" for suffix in READ]
    try:
        with quiet_client():
            folder = snapshot_download(repo, repo_type="dataset", allow_patterns=patterns)
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        msg = f"{HUB}{repo}: cannot be read from the Hub: {first_line(error)}"
        raise UserError(msg) from None
    return _in_folder(Path(folder), whole=True)
