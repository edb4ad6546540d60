"""Says which Hub is used and with which token, and keeps its client quiet."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distill.terminal.screen import is_terminal

PUBLIC = "https://huggingface.co"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # in huggingface_hub's own order


def hub() -> str:
    """The Hub's address and where its token comes from; no recipe can set either.

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


@contextmanager
def quiet_client() -> Iterator[None]:
    """Keeps the client's own messages off the screen.

    They may repeat a server's text, or an address with its password. Its progress bars stay if
    there is a terminal.
    """
    import huggingface_hub

    utils: Any = huggingface_hub.utils
    level = utils.logging.get_verbosity()
    bars = not utils.are_progress_bars_disabled() and not is_terminal()
    utils.logging.set_verbosity_error()
    if bars:
        utils.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        utils.logging.set_verbosity(level)
        if bars:
            utils.enable_progress_bars()
