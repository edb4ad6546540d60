"""A library that process 1 of a jail loads at its start, to answer questions.

A question is answered by a copy of process 1, as a program runs in one: whatever the question does
there ends with that copy.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from distill.jail.mounts import Mounts

SERVICE_NAME = "distill_service"  # of its module in the jail


class Missing(Exception):
    """A service's library cannot be imported; the text says which."""


@dataclass(frozen=True, slots=True)
class Service:
    """A library, and our module that asks it."""

    # Its ``load()`` returns a function from question to reply, both plain values; it raises
    # ImportError if the library is not there. It imports nothing from distill.
    module: str
    mounts: Mounts  # with the library's packages
    path: tuple[str, ...]  # of the packages on the host, used without a jail

    def source(self) -> str:
        """The module's text, which goes into the jail."""
        spec = find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).read_text(encoding="utf-8")
