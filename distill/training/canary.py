"""Refuses a training whose attention leaks: between documents of a row, or from the future."""

from typing import Any


def refuse_leaks(trainer: Any, store: Any, *, said: str) -> None:
    """To be."""
