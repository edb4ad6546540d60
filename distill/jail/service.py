"""What process 1 of a jail loads before it sees anything, to answer questions with. Loads nothing.

A question is answered by a copy of process 1, as a program runs in one: whatever the question does
there ends with it.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from distill.jail.mounts import Mounts

SERVICE_NAME = "distill_service"  # of its module in the jail


class Missing(Exception):
    """A service has nothing to import; the text says what."""


@dataclass(frozen=True, slots=True)
class Service:
    """A library and the module of ours that asks it."""

    # Its ``load()`` returns what answers a question with a reply, both plain values; it raises
    # ImportError where the library is not there. It imports nothing of ours.
    module: str
    mounts: Mounts  # with the library's packages
    path: tuple[str, ...]  # where the packages lie on the host, for whoever does without a jail

    def source(self) -> str:
        """The module's text, which goes into the jail."""
        spec = find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).read_text(encoding="utf-8")
