"""How programs, and libraries that evaluate rows, are isolated from this machine."""

from dataclasses import dataclass

# The detail of a verdict begins with this if something ran without a jail.
UNSAFE = "unsafe_no_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How strictly the programs and questions of one command are isolated.

    Attributes:
        paranoid: a fresh jail for every program or question instead of one for many.
        unsafe_no_sandbox: no jail: programs and scorers run as this user.
    """

    paranoid: bool = False
    unsafe_no_sandbox: bool = False


JAILED = Isolation()
