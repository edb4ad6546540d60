"""Has Python look for garbage less often while answers are asked for."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects between two looks, where Python's own figure is 700 (2,000 since 3.14): a request
# makes hundreds that go without it, and looking takes a seventh of all CPU time.
OBJECTS = 10_000


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """While the block runs; nothing changes where the program has set no looking, or less."""
    before = gc.get_threshold()
    if 0 < before[0] < OBJECTS:
        gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
