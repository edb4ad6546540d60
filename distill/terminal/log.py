"""The log: whatever a record is filled with, it stays one line that hides nothing.

``clean`` sits on the logger itself, so it holds for every program that uses distill and for every
handler. What a record's template says is ours and may have several lines; what is put into it may
have come from a server, a row or a file name.
"""

import logging
import textwrap
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from typing import TextIO

from distill.terminal.plain import plain

NAME = "distill"
LINE = "%(asctime)s %(message)s"
THEIRS = "%(asctime)s %(name)s: %(message)s"
CLOCK = "%H:%M:%S"


def clean(record: logging.LogRecord) -> bool:
    """A filter that lets every record pass, and takes care of what is in it."""
    if isinstance(record.args, Mapping):
        record.args = {name: _shown(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_shown, record.args))
    record.msg = plain(str(record.msg), keep="\n")
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = traced(record.exc_info[1])
        record.exc_info = None
    return True


def traced(error: BaseException) -> str:
    """Where an error arose, indented: no line of it can pass for one of the log."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return textwrap.indent(plain(text, keep="\n"), "  ", lambda _: True)


@contextmanager
def to_stderr(*, verbose: bool) -> Iterator[None]:
    """Our log lines on standard error while the block runs, and other libraries' warnings.

    Those, too, may repeat what a server or a file says.
    """
    handler, last = logging.StreamHandler(), logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LINE, CLOCK))
    last.setFormatter(_Theirs(THEIRS, CLOCK))
    last.setLevel(logging.WARNING)
    log, resort = logging.getLogger(NAME), logging.lastResort
    before = log.propagate, log.level
    log.addHandler(handler)
    log.propagate = False  # other people's libraries log to the root: not for the user
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.lastResort = last
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            yield
    finally:
        logging.lastResort = resort
        log.removeHandler(handler)
        log.propagate, level = before
        log.setLevel(level)


class _Theirs(logging.Formatter):
    """Lines of libraries that have no handler of their own, indented from the second on."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record), keep="\n").replace("\n", "\n  ")


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """In place of ``warnings.showwarning``."""
    logging.getLogger(NAME).warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)


def _shown(value: object) -> object:
    return value if isinstance(value, Number) else plain(str(value))
