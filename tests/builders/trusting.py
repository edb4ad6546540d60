"""What a user says in tests: yes to a host, and where a model lies. The rules themselves stay."""

from pathlib import Path

import yaml

from distill.teachers.address import origin_of
from distill.teachers.trust import trust_list


def trusting(key_env: str | None, *urls: str) -> None:
    """Notes that the variable may go to these addresses as a key; nothing where there is none."""
    for url in urls if key_env else ():
        trust_list().add(origin_of(url), str(key_env))


def naming(recipe: str, *keys: str) -> list[str]:
    """``--set`` for values that stand in a recipe, as the user says them who may name any place."""
    values = yaml.safe_load(Path(recipe).read_text(encoding="utf-8"))
    return [f"{key}={values[key]}" for key in keys]
