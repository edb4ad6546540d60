"""The user's trust list in tests: what a user would have said yes to. The rule itself stays."""

from distill.teachers.address import origin_of
from distill.teachers.trust import trust_list


def trusting(key_env: str | None, *urls: str) -> None:
    """Notes that the variable may go to these addresses as a key; nothing where there is none."""
    for url in urls if key_env else ():
        trust_list().add(origin_of(url), str(key_env))
