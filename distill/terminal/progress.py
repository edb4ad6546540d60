"""Shows how far a command is: a live line on a terminal, one plain log line every 30 s elsewhere.

It only writes to standard error, because standard output is for results.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from distill.terminal.screen import is_terminal, live

log = logging.getLogger("distill")
PLAIN_EVERY_S = 30.0


@dataclass(slots=True)
class Progress:
    """Counts what is done; ``note`` holds anything else worth showing (accepted, cost)."""

    what: str
    total: int | None
    done: int = 0
    tokens: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def advance(self, count: int = 1, *, tokens: int = 0, note: str | None = None) -> None:
        """Counts ``count`` more rows, and logs a line as ``tick`` does."""
        self.done += count
        self.tokens += tokens
        if note is not None:
            self.note = note
        self.tick()

    def tick(self) -> None:
        """Logs a line if it is time, also where nothing was done."""
        if not is_terminal() and time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            log.info("%s", self.line())

    def line(self) -> str:
        """One line: done of total, tokens/s, the note, the time left."""
        took = max(time.monotonic() - self.started, 1e-9)
        parts = [f"{self.what}: {self.done:,}" + (f" of {self.total:,}" if self.total else "")]
        if self.tokens:
            parts.append(f"{self.tokens / took:,.0f} tokens/s")
        if self.note:
            parts.append(self.note)
        if self.total and 0 < self.done < self.total:
            parts.append(f"{clock((self.total - self.done) * took / self.done)} left")
        else:
            parts.append(f"{clock(took)} taken")
        return " · ".join(parts)


def clock(seconds: float) -> str:
    """``1:05``, ``2:00:00``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress]:
    """A Progress that is shown while the block runs, and logged at its end."""
    state = Progress(what=what, total=total)
    if not is_terminal():
        yield state
        log.info("%s", state.line())
        return
    with live(state.line):
        yield state
