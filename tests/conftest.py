"""Settings of all tests: a busy machine is no failure, and nobody's own trust list is touched."""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("distill", settings.default, deadline=None)
settings.load_profile("distill")


@pytest.fixture(autouse=True)
def _no_trust_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An empty configuration folder for each test."""
    folder = tmp_path_factory.getbasetemp() / "config" / str(next(_NUMBERS))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


_NUMBERS = count()


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Two threads on a shared machine wait for each other longer than a tiny model computes."""
    if (torch := sys.modules.get("torch")) is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Below the reasons of what was skipped: how to get what is missing."""
    skipped = terminalreporter.stats.get("skipped", ())
    if any("could not import" in str(one.longrepr) for one in skipped):
        terminalreporter.write_line("next: make test, which installs what tests import")
