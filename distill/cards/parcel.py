"""What a push sends: which files of a set or student go where, and their card. Sends nothing."""

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from distill.cards.adapter import CONFIG, base_on_hub, with_base
from distill.cards.dataset import dataset_card
from distill.cards.student import student_card
from distill.errors import UserError
from distill.files.write import read_json

# What a student is made of. Optimizer states, logs, locks and pickles are not among it.
STUDENT_FILES = (
    *("adapter_config.json", "config.json", "generation_config.json", "chat_template.jinja"),
    *("*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
    *("tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "train.json", "proof.json", "scores.json"),
)
CARD = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Everything that a push sends."""

    kind: Literal["dataset", "model"]
    files: dict[str, Path]  # path in the repository → file here
    card: bytes
    edited: dict[str, bytes] = field(default_factory=dict)  # sent in place of those of ``files``

    def content(self, name: str) -> bytes | Path:
        """What is sent under a path in the repository: bytes made here, or a file as it is."""
        return self.card if name == CARD else self.edited.get(name, self.files[name])

    def sizes(self) -> dict[str, int]:
        """Bytes of each file by its path in the repository, the card last."""
        contents = {name: self.content(name) for name in (*self.files, CARD)}
        return {
            name: len(found) if isinstance(found, bytes) else found.stat().st_size
            for name, found in contents.items()
        }


def parcel_of(path: Path, repo_id: str) -> Parcel:
    """What there is to send of the filtered set or student at ``path``.

    Raises:
        UserError: it is neither, or not finished, or its numbers do not agree.
    """
    is_set, is_student = (path / "kept").is_dir(), (path / "train.json").is_file()
    if is_set and not is_student:
        return _set_parcel(path, repo_id)
    if is_student and not is_set:
        return _student_parcel(path, repo_id)
    if is_set:
        found = "both kept/ and train.json"
    elif path.is_dir():
        found = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
    else:
        found = "a file" if path.exists() else "no such folder"
    msg = (
        f"{path}: neither a filtered set (kept/ and report.json) nor a student (train.json and "
        f"weights); found {found}; next: give the -o of distill filter or distill train"
    )
    raise UserError(msg)


def _set_parcel(path: Path, repo_id: str) -> Parcel:
    report = _json_object(path / "report.json", "filter")
    shards = sorted((path / "kept").glob("*.parquet"))
    if not shards or report.get("kept") == 0:
        msg = f"{path}: no row was kept, so there is nothing to push; see its report.json"
        raise UserError(msg)
    try:
        card = dataset_card(report, shards, repo_id=repo_id)
    except pl.exceptions.PolarsError as error:
        msg = f"{path / 'kept'}: not readable Parquet: {str(error).splitlines()[0]}"
        raise UserError(msg) from None
    total = len(shards)
    files = {f"data/train-{i:05}-of-{total:05}.parquet": f for i, f in enumerate(shards)}
    files["report.json"] = path / "report.json"
    return Parcel(kind="dataset", files=files, card=card.encode())


def _student_parcel(path: Path, repo_id: str) -> Parcel:
    train = _json_object(path / "train.json", "train")
    names = sorted(p.name for p in path.iterdir() if p.is_file())
    files = {n: path / n for n in names if any(fnmatch.fnmatchcase(n, s) for s in STUDENT_FILES)}
    adapter = "adapter_config.json" in files
    if not any(n.endswith(".safetensors") for n in files) or not (
        adapter or "config.json" in files
    ):
        msg = f"{path}: train.json without weights; next: finish its distill train"
        raise UserError(msg)
    edited = {}
    if adapter and (base := base_on_hub(path, train)) is not None:
        edited[CONFIG] = with_base(path, base)
        train |= {"base_model": base}  # the card's alone: train.json is sent as it is
    card = student_card(
        train, repo_id=repo_id, adapter=adapter, scores=read_json(path / "scores.json")
    )
    return Parcel(kind="model", files=files, card=card.encode(), edited=edited)


def _json_object(path: Path, verb: str) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        msg = f"{path}: missing or not a JSON object; next: finish its distill {verb}"
        raise UserError(msg)
    return found
