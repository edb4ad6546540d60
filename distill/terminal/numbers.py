"""Numbers on the command line: what is none, or too small, is one line."""

import argparse
from collections.abc import Callable
from functools import partial


def number(kind: Callable[[str], float], least: float, text: str) -> float:
    """The number that a word says.

    Raises:
        argparse.ArgumentTypeError: it says none of at least ``least``.
    """
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not least <= value < float("inf"):
        msg = f"{text!r} is not a number of at least {least:g}"
        raise argparse.ArgumentTypeError(msg)
    return value


count = partial(number, int, 1)
rate = partial(number, float, 0.1)
usd = partial(number, float, 0)
