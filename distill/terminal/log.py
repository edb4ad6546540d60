"""The log: whatever a record is filled with, it stays one line that hides nothing.

``clean`` is a filter of the logger itself, so it works in every program that uses distill and for
every handler. A record's template is ours and may have several lines; its arguments may come from a
server, a row or a file name.
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
    """A filter that lets every record pass, but makes its text plain."""
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
    """An error's traceback, indented, so that no line of it looks like a line of the log."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return textwrap.indent(plain(text, keep="\n"), "  ", lambda _: True)


@contextmanager
def to_stderr(*, verbose: bool) -> Iterator[None]:
    """Writes our log lines and other libraries' warnings to standard error in the block.

    The warnings are made plain too, because they may repeat a server's or a file's text.
    """
    handler, last = logging.StreamHandler(), logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LINE, CLOCK))
    last.setFormatter(_Theirs(THEIRS, CLOCK))
    last.setLevel(logging.WARNING)
    log, resort = logging.getLogger(NAME), logging.lastResort
    before = log.propagate, log.level
    log.addHandler(handler)
    log.propagate = False  # other libraries add handlers to the root logger
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
    """Lines of libraries without their own handler, indented from the second on."""

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
    """Replaces ``warnings.showwarning``."""
    logging.getLogger(NAME).warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)


def _shown(value: object) -> object:
    return value if isinstance(value, Number) else plain(str(value))
