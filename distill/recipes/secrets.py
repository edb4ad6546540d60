"""Refuses recipes that hold a credential, without repeating it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from distill.credentials.find import SECRET, keys_by_row
from distill.errors import UserError
from distill.recipes.mistakes import flat

__all__ = ["SECRET", "refuse_secrets"]

# Keys whose text must be a credential, because no recipe uses them; ``eos_token`` and ``key_env``
# are not among them.
_NAMED = re.compile(
    r"key|token|(?:.*_)?(?:api_?key|(?:access|secret|private)_key|secret|password|passwd|passphrase"
    r"|authorization|credentials?|(?:access|auth|bearer|hub|hf)_token)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Text:
    value: str
    at: str  # its place, as a message names it
    named: bool = False  # its key says that it is a credential


def refuse_secrets(values: Any, path: Path) -> None:
    """Raises if anything in a recipe's values looks like a credential, or is named like one.

    Raises:
        UserError: names the file and the key, never the value.
    """
    texts = list(_texts(values, ""))
    # All at once: a search costs half a millisecond, however few texts it looks through.
    found = keys_by_row(pl.Series([text.value for text in texts], dtype=pl.String))
    for number, text in enumerate(texts):
        if text.named or number in found:
            msg = (
                f"{path}: {flat(text.at)}: looks like an API key; recipes are shared, so name the "
                "environment variable that holds it instead, e.g. key_env: DEEPSEEK_API_KEY"
            )
            raise UserError(msg)


def _texts(values: Any, at: str) -> Iterator[_Text]:
    """Every text in a recipe's values, keys too, in the order of the file."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield _Text(str(key), f"a key of {at}" if at else "a key")
            inner = f"{at}.{key}" if at else str(key)
            if _NAMED.fullmatch(str(key).replace("-", "_")) and isinstance(value, str):
                yield _Text(value, inner, named=True)
            yield from _texts(value, inner)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            yield from _texts(value, f"{at}[{i}]")
    elif isinstance(values, str):
        yield _Text(values, at)
