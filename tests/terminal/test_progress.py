import logging
import os
import pty
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
def test_a_time_is_written_like_aclock(seconds: float, text: str) -> None:
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


def test_on_a_terminal_the_line_is_live_and_on_standard_error_alone() -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SHOWN],
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
    assert "generate: 2 of 2 · all well · 0:00 taken" in shown
