"""Which Hub is talked to, and with what, in words. Talks to nobody."""

import os
from pathlib import Path
from urllib.parse import urlsplit

PUBLIC = "https://huggingface.co"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # in the order of huggingface_hub's own look


def hub() -> str:
    """The Hub's address and where its token comes from: no recipe can say either.

    >>> hub()  # doctest: +SKIP
    'https://huggingface.co (token: $HF_TOKEN)'
    """
    given = urlsplit(os.environ.get("HF_ENDPOINT") or PUBLIC)
    host = given.netloc.rpartition("@")[2]
    return f"{given.scheme}://{host} ({_token()})"


def _token() -> str:
    for name in TOKENS:
        if os.environ.get(name, "").strip():
            return f"token: ${name}"
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    stored = Path(os.environ.get("HF_TOKEN_PATH") or Path(home, "token")).expanduser()
    return "token: of hf auth login" if stored.is_file() else "no token"
