"""Silences what the training libraries write for developers."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = (
    *("transformers", "trl", "peft", "accelerate", "datasets", "torch", "bitsandbytes"),
    "matplotlib",
)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, progress bars or log lines of the training libraries while the block runs."""
    import datasets
    from transformers.utils import logging as bars

    loggers = [logging.getLogger(name) for name in LIBRARIES]
    levels = [logger.level for logger in loggers]
    shown = bars.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        bars.disable_progress_bar()
        datasets.disable_progress_bars()
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            if shown[0]:
                bars.enable_progress_bar()
            if not shown[1]:
                datasets.enable_progress_bars()
