"""How programs, and libraries that rows are handed to, are kept apart from this machine."""

from dataclasses import dataclass

# How the detail of a verdict begins for which something ran without a jail.
UNSAFE = "unsafe_no_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How strictly the programs and questions of one command are kept apart.

    Attributes:
        paranoid: a fresh jail for every program or question, not one for many.
        unsafe_no_sandbox: no jail: programs and scorers run as this user.
    """

    paranoid: bool = False
    unsafe_no_sandbox: bool = False


JAILED = Isolation()
