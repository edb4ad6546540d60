"""Writes each optimizer step as one line of train.jsonl; after a resume, each is there once."""

import logging
import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from distill.files.write import write_bytes

log = logging.getLogger("distill")
NAME = "train.jsonl"


@dataclass(slots=True, kw_only=True)
class Steps:
    """The steps of one training, over all its legs."""

    path: Path | None  # None: another of the processes writes
    loss_first: float = math.nan
    loss_last: float = math.nan
    wall_s: float = 0.0  # of the legs before this one, up to the checkpoint
    _began: float = field(default_factory=time.monotonic)
    _idle_until: float = field(default_factory=time.monotonic)  # saving and evaluating take time
    _size: int = 0  # bytes of whole lines in the file
    _waiting: bytes = b""  # lines for which there was no space

    def restart(self, checkpoint: Path | None) -> None:
        """Begins anew, or with the lines that a checkpoint holds."""
        lines = (checkpoint / NAME).read_bytes() if checkpoint else b""
        told = [orjson.loads(line) for line in lines.splitlines()]
        if told:
            self.loss_first, self.loss_last = _loss(told[0]), _loss(told[-1])
            self.wall_s = told[-1]["wall_s"]
        if self.path is not None:
            write_bytes(self.path, lines)
        self._size, self._waiting = len(lines), b""
        self._began = self._idle_until = time.monotonic()

    def taken(self, *, tokens: int) -> dict[str, float | None]:
        """What the clock says of the step that has just ended."""
        now = time.monotonic()
        rate = tokens / max(now - self._idle_until, 1e-9)
        self._idle_until = now
        wall_s = self.wall_s + now - self._began
        return {"tokens": tokens, "tokens_per_s": round(rate, 1), "wall_s": round(wall_s, 3)}

    def pause(self) -> None:
        """Leaves the time since the last step out of the next step's tokens_per_s."""
        self._idle_until = time.monotonic()

    def add(self, line: dict[str, Any]) -> None:
        """Appends a step; where the disk is full, it waits for the next one."""
        if math.isnan(self.loss_first):
            self.loss_first = line["loss"]
        self.loss_last = line["loss"]
        if self.path is None:
            return
        said, self._waiting = bool(self._waiting), self._waiting + orjson.dumps(line) + b"\n"
        try:
            with self.path.open("r+b") as file:
                file.seek(self._size)  # over what was written in part
                file.write(self._waiting)
        except OSError as error:
            if not said:
                log.warning("train: %s: %s; training goes on", self.path, error.strerror)
            return
        self._size, self._waiting = self._size + len(self._waiting), b""

    def copy_to(self, checkpoint: Path) -> None:
        """Gives a checkpoint all lines so far."""
        if self.path is not None:
            shutil.copyfile(self.path, checkpoint / NAME)


def _loss(line: dict[str, Any]) -> float:
    return math.nan if line["loss"] is None else float(line["loss"])
