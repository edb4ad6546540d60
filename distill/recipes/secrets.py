"""Keeps credentials out of recipes: what looks like one is refused, and never repeated."""

import re
from pathlib import Path
from typing import Any

from distill.credentials.find import SECRET, keys_in
from distill.errors import UserError
from distill.recipes.mistakes import flat

__all__ = ["SECRET", "refuse_secrets"]

# Names under which no recipe has a text of its own. ``eos_token`` and ``key_env`` are none of them.
_NAMED = re.compile(
    r"key|token|(?:.*_)?(?:api_?key|(?:access|secret|private)_key|secret|password|passwd|passphrase"
    r"|authorization|credentials?|(?:access|auth|bearer|hub|hf)_token)",
    re.IGNORECASE,
)


def refuse_secrets(values: Any, path: Path, at: str = "") -> None:
    """Raises if anything in a recipe's values looks like a credential, or is named like one.

    Raises:
        UserError: names the file and the key it stands under, never what stands there.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            if keys_in(str(key)):
                raise _secret(path, f"a key of {at}" if at else "a key")
            inner = f"{at}.{key}" if at else str(key)
            if _NAMED.fullmatch(str(key).replace("-", "_")) and isinstance(value, str):
                raise _secret(path, inner)
            refuse_secrets(value, path, inner)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            refuse_secrets(value, path, f"{at}[{i}]")
    elif isinstance(values, str) and keys_in(values):
        raise _secret(path, at)


def _secret(path: Path, at: str) -> UserError:
    return UserError(
        f"{path}: {flat(at)}: looks like an API key; recipes are shared, so name the environment "
        "variable that holds it instead, e.g. key_env: DEEPSEEK_API_KEY"
    )
