"""Checks on real data, which no test needs: they stop at once where it is not."""

import pytest

from bench.pool import SHARED


def pytest_configure() -> None:
    if not SHARED.is_dir():
        pytest.exit(
            f"{SHARED}: not there; next: put the data there, or run the tests: make test", 2
        )
