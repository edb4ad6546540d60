"""distill: put a big model's reasoning into a small one.

The eight verbs of the command line are functions of the same name; ``grade`` judges one answer,
``grade_all`` many.
Importing this package is cheap: each function brings what it needs when it is first used.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from distill.terminal import log as _log

if TYPE_CHECKING:
    from distill.commands.eval import eval
    from distill.commands.filter import filter
    from distill.commands.generate import generate
    from distill.commands.merge import merge
    from distill.commands.plan import plan
    from distill.commands.push import push
    from distill.commands.status import status
    from distill.commands.train import train
    from distill.verify import Isolation, Item, Verdict, grade, grade_all

__version__ = "0.1.0"
logging.getLogger(_log.NAME).addFilter(_log.clean)

_HOME = {
    "plan": "distill.commands.plan",
    "generate": "distill.commands.generate",
    "filter": "distill.commands.filter",
    "train": "distill.commands.train",
    "eval": "distill.commands.eval",
    "merge": "distill.commands.merge",
    "push": "distill.commands.push",
    "status": "distill.commands.status",
    "grade": "distill.verify",
    "grade_all": "distill.verify",
    "Item": "distill.verify",
    "Isolation": "distill.verify",
    "Verdict": "distill.verify",
}
__all__ = [
    "plan",
    "generate",
    "filter",
    "train",
    "eval",
    "merge",
    "push",
    "status",
    "grade",
    "grade_all",
    "Item",
    "Isolation",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'distill' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
