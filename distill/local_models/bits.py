"""Imports bitsandbytes without the code that it would fetch from the Hub."""

import logging
import sys
from importlib.util import find_spec
from typing import Any


def import_bitsandbytes() -> None:
    """Imports it, if it is installed, before peft or trl do.

    On a CPU with AVX-512 BF16 bitsandbytes 0.50 (backends/cpu/ops.py:242) fetches a kernel of the
    Hub and runs it, if the package ``kernels`` is there, and warns if it is not.
    """
    if "bitsandbytes" in sys.modules or find_spec("bitsandbytes") is None:
        return
    modules: dict[str, Any] = sys.modules
    was, log = modules.get("kernels"), logging.getLogger("bitsandbytes")
    level = log.level
    modules["kernels"] = None  # as if it were not installed
    log.setLevel(logging.CRITICAL)
    try:
        import bitsandbytes  # noqa: F401
    finally:
        log.setLevel(level)
        del modules["kernels"]
        if was is not None:
            modules["kernels"] = was
