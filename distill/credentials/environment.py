"""The secrets that this process itself holds, found by the names of its environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path

# Endings of services' variables; a value shorter than CHARS may be a common word.
ENDINGS = (
    *("KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE"),
    *("CREDENTIAL", "CREDENTIALS", "_PASS", "_PWD", "_PAT", "_AUTH"),
)
CHARS = 16


def own_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Value → name of each variable that is named like a secret and has CHARS characters or more.

    The path of an existing file does not count: it only says where the secret is.
    """
    return {
        value.strip(): name
        for name, value in environment.items()
        if name.upper().endswith(ENDINGS) and len(value.strip()) >= CHARS and not _is_path(value)
    }


def _is_path(value: str) -> bool:
    try:
        return Path(value).exists()
    except OSError:  # too long for a path
        return False
