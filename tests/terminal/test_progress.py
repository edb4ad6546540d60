import logging
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from distill.terminal.progress import Progress, clock, progress

SHOWN = """
from distill.terminal.progress import progress
with progress("generate", 2) as shown:
    shown.advance(2, note="all well")
"""


def test_a_line_says_how_much_how_fast_and_how_long() -> None:
    state = Progress(what="generate", total=2000, started=time.monotonic() - 100)
    assert state.line().startswith("generate: 0 of 2,000 · 1:40 taken")
    state.advance(1000, tokens=50_000, note="$0.10")
    assert state.line().startswith("generate: 1,000 of 2,000 · ")
    assert " tokens/s · $0.10 · 1:40 left" in state.line()
    state.advance(1000)
    assert state.line().endswith(" taken")


def test_an_unknown_or_empty_total_is_not_divided_by() -> None:
    for total in (None, 0):
        state = Progress(what="filter", total=total)
        state.advance()
        assert state.line() == "filter: 1 · 0:00 taken"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_a_time_is_written_like_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_without_a_terminal_there_is_one_plain_line_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "distill"), progress("filter", 3) as shown:
        for _ in range(3):
            shown.advance()
    assert [record.getMessage() for record in caplog.records] == ["filter: 3 of 3 · 0:00 taken"]


def test_without_a_terminal_a_long_run_says_a_line_every_half_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = Progress(what="filter", total=9, _said=time.monotonic() - 31)
    with caplog.at_level(logging.INFO, "distill"):
        state.advance()
        state.advance()
    assert len(caplog.records) == 1


LOGGED = """
import logging
from distill.terminal import log, progress, screen
with screen.guarded(), log.to_stderr(verbose=False), progress.progress("generate", 2):
    logging.getLogger("distill").warning("nobody answers")
"""


def on_a_terminal(program: str) -> str:
    """What it writes there; nothing on standard output."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
    assert done.stdout == b""
    return shown


def test_on_a_terminal_the_line_is_live_and_on_standard_error_alone() -> None:
    assert "generate: 2 of 2 · all well · 0:00 taken" in on_a_terminal(SHOWN)


def test_a_line_of_the_log_does_not_begin_at_the_end_of_the_live_line() -> None:
    lines = re.split("[\r\n]+(?:\x1b\\[2K)?", on_a_terminal(LOGGED))
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d nobody answers", line) for line in lines), lines
