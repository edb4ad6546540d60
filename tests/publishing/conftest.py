"""A Hub on loopback."""

import os
from collections.abc import Iterator

import pytest

from tests.builders.hub_server import TOKEN, hub_server
from tests.builders.hub_state import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as running:
        yield running


@pytest.fixture
def at(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same Hub for calls in this process."""
    for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub
