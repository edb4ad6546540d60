"""Where the Pythons that a command starts find their modules. Starts none.

``python -m`` and Ray look first in the folder that they are started in. That folder may be somebody
else's data set with a ``torch.py`` beside it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NAME = "PYTHONSAFEPATH"  # Python 3.11 and newer: no folder before the installed packages


@contextmanager
def own_imports_only() -> Iterator[None]:
    """Every Python started in the block imports what is installed, not what lies around it."""
    before = os.environ.get(NAME)
    os.environ[NAME] = "1"
    try:
        yield
    finally:
        os.environ.pop(NAME)
        if before is not None:
            os.environ[NAME] = before
