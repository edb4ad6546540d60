"""The checkpoints of one training: which of them count, and which are removed.

A checkpoint is written beside its place and moved there. It counts if its manifest, written last,
belongs to this training and has the digest of every file. All others are passed over, with the
reason.
"""

import logging
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from distill.files.done import file_digest
from distill.files.write import read_json, sync, write_json

log = logging.getLogger("distill")
MANIFEST = "complete.json"
STATE = "trainer_state.json"  # transformers' own name
NEEDED = (STATE, "scheduler.pt")  # transformers goes on without them, at another learning rate
KEPT = 2  # of those that are written by time


@dataclass(slots=True, kw_only=True)
class Checkpoints:
    """A folder of checkpoints that all belong to one training."""

    folder: Path  # OUT/checkpoints/<fingerprint>
    processes: int  # that train together; another number takes other batches
    limit: int | None = None  # sft.save_total_limit
    base: str | None = None  # the digest of the base's files; None: any
    mine: list[Path] = field(default_factory=list)  # that count, oldest first

    @property
    def part(self) -> Path:
        """The folder in which the next one is written."""
        return self.folder / ".part"

    def newest(self) -> Path | None:
        """The last one that counts; those that do not are passed over with a line of the log."""
        self.forget_part()
        self.mine.clear()
        found = sorted(self.folder.glob("checkpoint-*"), key=_step)
        for path in found:
            if (reason := self._wrong(path)) is None:
                self.mine.append(path)
            else:
                log.warning("train: %s is passed over: %s", path, reason)
        others = set(self.folder.parent.glob("*/checkpoint-*")) - set(found)
        if not self.mine and others:
            log.warning("train: %s is of another recipe or of other data", min(others).parent)
        if not self.mine and (found or others):
            log.warning("train: no checkpoint counts, so it starts from the beginning")
        return self.mine[-1] if self.mine else None

    def forget_part(self) -> None:
        """Removes what was not written to its end."""
        shutil.rmtree(self.part, ignore_errors=True)

    def seal(self, step: int, *, by_recipe: bool, whole: bool) -> None:
        """Makes what was written in ``part`` count, and removes what is no longer kept.

        ``by_recipe``: sft.save_strategy asked for it. ``whole``: training can go on from it.
        """
        written, final = self.part / f"checkpoint-{step}", self.folder / f"checkpoint-{step}"
        guard(
            written,
            fingerprint=self.folder.name,
            base=self.base,
            processes=self.processes,
            by_recipe=by_recipe,
            whole=whole,
        )
        shutil.rmtree(final, ignore_errors=True)
        written.rename(final)
        sync(self.folder)
        self.mine = [*(path for path in self.mine if path != final), final]
        self._remove_old()

    def give_way(self) -> bool:
        """Removes the oldest to make room, but not the only one; False: none was removed."""
        self.forget_part()
        before = len(self.mine)
        self._drop([path for path in self.mine[:-1] if not _by_recipe(path)][:1])
        return len(self.mine) < before

    def again(self) -> str:
        """What the same command will do."""
        if not self.mine:
            return "starts from the beginning, because there is no checkpoint"
        return f"goes on from step {_step(self.mine[-1])}"

    def said(self) -> str:
        """The end of a message about a failure: what is left of the training."""
        return f"; {self.mine[-1]} is kept" if self.mine else ""

    def remove(self) -> None:
        """Removes all that the recipe did not ask for; a student has taken their place."""
        for path in (self.part, *self.folder.glob("checkpoint-*")):
            if not _by_recipe(path):
                shutil.rmtree(path, ignore_errors=True)
        for folder in (self.folder, self.folder.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _remove_old(self) -> None:
        if self.limit:
            old = self.mine[: -self.limit]
        else:
            old = [path for path in self.mine[:-KEPT] if not _by_recipe(path)]
        self._drop(old)

    def _drop(self, old: Sequence[Path]) -> None:
        best = read_json(self.mine[-1] / STATE)["best_model_checkpoint"] if old else None
        for path in old:
            if str(path) != best:
                shutil.rmtree(path, ignore_errors=True)
                self.mine.remove(path)

    def _wrong(self, path: Path) -> str | None:
        """Why a checkpoint does not count; None if it does."""
        if not (path / MANIFEST).is_file():
            return "it is not complete"
        told = read_json(path / MANIFEST)
        if not isinstance(told, dict) or not isinstance(told.get("files"), dict):
            return f"its {MANIFEST} is damaged"
        if told.get("fingerprint") != self.folder.name:
            return "it is of another recipe, or of other data"
        if self.base is not None and told.get("base", self.base) != self.base:
            return "it is of another base, whose files have changed since"
        if told.get("processes") != self.processes:
            return f"it is of {told.get('processes')} processes, and now there are {self.processes}"
        if not told.get("whole"):
            return "it has no optimizer (sft.save_only_model)"
        return damage(path, needed=NEEDED) or _unsafe(path, told["files"]) or _foreign_state(path)


def guard(folder: Path, **told: Any) -> None:
    """Writes the digest of every file into a manifest, with ``told``, when all of it is on disk."""
    files = {}
    for path in _files(folder):
        sync(path)  # else a power failure leaves zeros
        files[path.relative_to(folder).as_posix()] = file_digest(path)
    write_json(folder / MANIFEST, {**told, "files": files})


def damage(folder: Path, *, needed: Collection[str] = ()) -> str | None:
    """How a folder differs from what was guarded; None if it does not."""
    told = read_json(folder / MANIFEST)
    files = told.get("files") if isinstance(told, dict) else None
    if not isinstance(files, dict):
        return f"its {MANIFEST} is damaged"
    for name in (*files, *needed):
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size == 0:
            return f"{name} is empty"
        if file_digest(file) != files.get(name):
            return f"{name} is damaged"
    return None


def _unsafe(path: Path, names: Collection[str]) -> str | None:
    for file in (path / name for name in names):
        if file.name == ".metadata":  # torch.distributed.checkpoint unpickles it
            return "it is sharded; next: fsdp_state_dict_type: FULL_STATE_DICT"
        if file.suffix in (".pt", ".pth", ".bin") and not _only_numbers(file):
            return f"{file.name} holds something other than numbers, and was not read"
    return None


def _only_numbers(file: Path) -> bool:
    """Whether torch reads the file without running anything; big tensors stay on the disk."""
    import torch
    from transformers.trainer_pt_utils import safe_globals

    if file.name == "training_args.bin":  # transformers writes it, and nobody reads it
        return True
    try:
        with safe_globals():
            torch.load(file, weights_only=True, mmap=True, map_location="cpu")
    except (UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, OSError):
        return False
    return True


def _foreign_state(path: Path) -> str | None:
    from transformers.trainer_callback import TrainerState

    told = read_json(path / STATE)
    try:
        fits = TrainerState(**told).global_step == _step(path)
    except (TypeError, AttributeError):  # no mapping, or keys of another version
        fits = False
    return None if fits else f"{STATE} is of another step, or of another version of transformers"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _by_recipe(path: Path) -> bool:
    told = read_json(path / MANIFEST)
    return isinstance(told, dict) and told.get("by_recipe") is True


def _step(path: Path) -> int:
    """The number in its name; -1 if there is none."""
    digits = path.name.removeprefix("checkpoint-")
    return int(digits) if digits.isdecimal() else -1
