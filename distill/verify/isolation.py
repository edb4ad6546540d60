"""How programs that a model wrote are kept apart from this machine. Keeps nothing apart itself."""

from dataclasses import dataclass

UNSAFE = "unsafe_no_sandbox"  # how the detail of a verdict begins whose program ran without a jail


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """Of one command; told to whoever checks answers, in whichever process that is."""

    paranoid: bool = False  # a fresh jail for every program, not one for many
    unsafe_no_sandbox: bool = False  # no jail: programs run as this user


JAILED = Isolation()
