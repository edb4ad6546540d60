"""A place for the tokens of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from distill.training.store import Store


@contextmanager
def store() -> Iterator[Store]:
    """An empty Store in a temporary folder, which is removed when the block ends."""
    with TemporaryDirectory() as folder:
        yield Store(folder=Path(folder))
