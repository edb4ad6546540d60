"""Between two tries of a request passes next to no time."""

import pytest

from tests.builders.runs import shorten_waits


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_waits(monkeypatch)
