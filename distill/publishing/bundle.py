"""What a push sends: which files of a set or student go where, and their card."""

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl

from distill.credentials.find import without_keys
from distill.errors import UserError, first_line
from distill.files.inside import Folder, Seen
from distill.publishing.adapter import CONFIG, base_on_hub, with_base
from distill.publishing.dataset import dataset_card
from distill.publishing.student import student_card

# The files of a student; not optimizer states, logs, locks and pickles.
STUDENT_FILES = (
    *("adapter_config.json", "config.json", "generation_config.json", "chat_template.jinja"),
    *("*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
    *("tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "train.json", "proof.json", "scores.json"),
    *("train.jsonl", "train.png"),
)
CARD = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushBundle:
    """Everything that a push sends."""

    kind: Literal["dataset", "model"]
    folder: Folder
    files: dict[str, Seen]  # path in the repository → file here
    card: bytes
    edited: dict[str, bytes] = field(default_factory=dict)  # sent instead of those in ``files``

    def names(self) -> list[str]:
        """Paths in the repository, the card last."""
        return [*self.files, CARD]

    def content(self, name: str) -> bytes | Seen:
        """What is sent as a path in the repository: bytes made here, or a file as it is."""
        return self.card if name == CARD else self.edited.get(name, self.files[name])

    def sizes(self) -> dict[str, int]:
        """Bytes of each file by its path in the repository, the card last."""
        contents = {name: self.content(name) for name in self.names()}
        return {name: len(c) if isinstance(c, bytes) else c.size for name, c in contents.items()}


def bundle_of(path: Path, repo_id: str) -> PushBundle:
    """What to send of the filtered set or student at ``path``.

    Raises:
        UserError: it is neither, or unfinished, or its numbers do not agree; or a file of it is a
            link out of ``path``, or not a regular file.
    """
    folder = Folder(path)
    found = folder.names()
    is_set, is_student = (path / "kept").is_dir(), "train.json" in found
    if is_set and not is_student:
        return _set_bundle(folder, repo_id)
    if is_student and not is_set:
        return _student_bundle(folder, repo_id)
    if is_set:
        what = "both kept/ and train.json"
    elif path.is_dir():
        what = ", ".join(found[:8]) or "nothing"
    else:
        what = "a file" if path.exists() else "no such folder"
    msg = (
        f"{path}: neither a filtered set (kept/ and report.json) nor a student (train.json and "
        f"weights); found {what}; next: give the -o of distill filter or distill train"
    )
    raise UserError(msg)


def _set_bundle(folder: Folder, repo_id: str) -> PushBundle:
    report_file, report = _json_object(folder, "report.json", "filter")
    names = [name for name in folder.names("kept") if fnmatch.fnmatchcase(name, "*.parquet")]
    shards = [folder.see(f"kept/{name}") for name in names]
    if not shards or report.get("kept") == 0:
        msg = f"{folder.path}: no row was kept, so there is nothing to push; see its report.json"
        raise UserError(msg)
    try:
        card = dataset_card(report, [shard.real for shard in shards], repo_id=repo_id)
    except pl.exceptions.PolarsError as error:
        said = without_keys(first_line(error))
        msg = f"{folder.path / 'kept'}: not readable Parquet: {said}"
        raise UserError(msg) from None
    total = len(shards)
    files = {f"data/train-{i:05}-of-{total:05}.parquet": f for i, f in enumerate(shards)}
    files["report.json"] = report_file
    return PushBundle(kind="dataset", folder=folder, files=files, card=card.encode())


def _student_bundle(folder: Folder, repo_id: str) -> PushBundle:
    _, train = _json_object(folder, "train.json", "train")
    names = [n for n in folder.names() if any(fnmatch.fnmatchcase(n, s) for s in STUDENT_FILES)]
    files = {name: folder.see(name) for name in names}
    adapter = CONFIG in files
    if not any(n.endswith(".safetensors") for n in files) or not (
        adapter or "config.json" in files
    ):
        msg = f"{folder.path}: train.json without weights; next: finish its distill train"
        raise UserError(msg)
    edited = {}
    if adapter:
        config = _json(folder, files[CONFIG])
        if (base := base_on_hub(config, folder.path / CONFIG, train)) is not None:
            edited[CONFIG] = with_base(config, base)
            train |= {"base_model": base}  # for the card only: train.json is sent as it is
    scores = _json(folder, files["scores.json"]) if "scores.json" in files else None
    drawn = "train.png" in files
    card = student_card(train, repo_id=repo_id, adapter=adapter, scores=scores, drawn=drawn)
    return PushBundle(kind="model", folder=folder, files=files, card=card.encode(), edited=edited)


def _json_object(folder: Folder, name: str, verb: str) -> tuple[Seen, dict[str, Any]]:
    if name in folder.names():
        seen = folder.see(name)
        found = _json(folder, seen)
        if isinstance(found, dict):
            return seen, found
    msg = f"{folder.path / name}: missing or not a JSON object; next: finish its distill {verb}"
    raise UserError(msg)


def _json(folder: Folder, seen: Seen) -> Any:
    """The value in a small JSON file; None if it is not JSON."""
    try:
        return orjson.loads(folder.read(seen))
    except orjson.JSONDecodeError:
        return None
