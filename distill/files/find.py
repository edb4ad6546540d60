"""What DATA on the command line means: a list of files. Does not read them."""

from contextlib import suppress
from pathlib import Path

from distill.errors import UserError, missing_extra

SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".csv")
HUB = "hf://datasets/"


def data_files(data: str | Path) -> list[Path]:
    """The files behind a run, a filtered set, a file, a folder, a glob or hf://datasets/owner/name.

    Raises:
        UserError: nothing there, or nothing that distill reads.
    """
    text = str(data)
    if text.startswith(HUB):
        return _from_hub(text.removeprefix(HUB))
    path = Path(text)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return [_known(path)]
    if found := _matching(path):
        return [_known(p) for p in found]
    msg = f"{text}: no such file, folder or pattern; give a run, a Parquet or JSONL file, or {HUB}…"
    raise UserError(msg)


def _matching(pattern: Path) -> list[Path]:
    if not any(sign in str(pattern) for sign in "*?["):
        return []
    relative = str(pattern.relative_to(pattern.anchor)) if pattern.anchor else str(pattern)
    with suppress(ValueError):  # not a pattern, e.g. a**
        return sorted(p for p in Path(pattern.anchor or ".").glob(relative) if p.is_file())
    return []


def is_known(path: Path) -> bool:
    """Whether distill reads files of this name."""
    return path.name.lower().endswith(SUFFIXES)


def _known(path: Path) -> Path:
    if not is_known(path):
        msg = f"{path}: cannot read this kind of file; give one of {', '.join(SUFFIXES)}"
        raise UserError(msg)
    return path


def _in_folder(folder: Path) -> list[Path]:
    """Of a run its traces/, of a filtered set its kept/, else every data file in the folder."""
    if (folder / "ledger.sqlite").exists() and not (folder / "traces" / "manifest.json").exists():
        msg = f"{folder}: this run has no exported traces yet; next: finish its distill generate"
        raise UserError(msg)
    if (folder / ".unfinished").exists():
        msg = f"{folder}: this filtered set is unfinished; next: run its distill filter again"
        raise UserError(msg)
    root = next((folder / n for n in ("traces", "kept") if (folder / n).is_dir()), folder)
    found = sorted(p for p in root.rglob("*") if p.is_file() and is_known(p) and p.name[0] != ".")
    if not found:
        msg = f"{root}: no data in it; looked for {', '.join(SUFFIXES)}"
        raise UserError(msg)
    return found


def _from_hub(repo: str) -> list[Path]:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise missing_extra(module="huggingface_hub", extra="hub") from None
    patterns = [f"*{suffix}" for suffix in SUFFIXES]
    try:
        folder = snapshot_download(repo, repo_type="dataset", allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        msg = f"{HUB}{repo}: cannot be read from the Hub: {reason}"
        raise UserError(msg) from None
    return _in_folder(Path(folder))
