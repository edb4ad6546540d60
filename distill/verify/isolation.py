"""How programs, and libraries that rows are handed to, are kept apart from this machine."""

from dataclasses import dataclass

# How the detail of a verdict begins for which something ran without a jail.
UNSAFE = "unsafe_no_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """Of one command; told to whoever checks answers, in whichever process that is."""

    paranoid: bool = False  # a fresh jail for every program or question, not one for many
    unsafe_no_sandbox: bool = False  # no jail: programs and scorers run as this user


JAILED = Isolation()
