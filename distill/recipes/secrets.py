"""Keeps API keys out of recipes: what looks like one is refused, and never repeated."""

import re
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.recipes.mistakes import flat

# Vendors' key shapes, in the syntax that Python's and polars' engines share. An unbroken run of 16
# is asked for, so that a long plain name with hyphens or underscores is not taken for a key.
SECRET = re.compile(
    r"\b(?:sk-|sk_|csk-|hf_|gsk_|fw_|r8_|xai-|nvapi-|AIza|AKIA|ghp_|github_pat_|tgp_|Bearer\s+)"
    r"[A-Za-z0-9._-]*[A-Za-z0-9]{16,}"
)
SECRET_KEYS = ("api_key", "apikey", "key", "token", "authorization", "password", "secret")


def refuse_secrets(values: Any, path: Path, at: str = "") -> None:
    """Raises if anything in a recipe's values looks like an API key, or is named like one.

    Raises:
        UserError: names the file and the key it stands under, never what stands there.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            if SECRET.search(str(key)):
                raise _secret(path, f"a key of {at}" if at else "a key")
            inner = f"{at}.{key}" if at else str(key)
            if str(key).lower() in SECRET_KEYS and isinstance(value, str):
                raise _secret(path, inner)
            refuse_secrets(value, path, inner)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            refuse_secrets(value, path, f"{at}[{i}]")
    elif isinstance(values, str) and SECRET.search(values):
        raise _secret(path, at)


def _secret(path: Path, at: str) -> UserError:
    return UserError(
        f"{path}: {flat(at)}: looks like an API key; recipes are shared, so name the environment "
        "variable that holds it instead, e.g. key_env: DEEPSEEK_API_KEY"
    )
