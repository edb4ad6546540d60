"""The libraries that answer questions in a jail, and the files they need there."""

import importlib.metadata
from functools import cache
from typing import Literal

from distill.jail.mounts import Mounts
from distill.jail.packages import packages, usable
from distill.jail.service import Service

Kind = Literal["math", "gym"]
# The distribution, and the module that asks it.
_LIBRARIES: dict[Kind, tuple[str, str]] = {
    "math": ("math-verify", "distill.verify.workers.inside.symbolic"),
    "gym": ("reasoning-gym", "distill.verify.workers.inside.reasoning_gym"),
}
SERVICES: tuple[Kind, ...] = tuple(_LIBRARIES)


def installed(kind: Kind) -> bool:
    """Whether the library is installed."""
    try:
        importlib.metadata.version(_LIBRARIES[kind][0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@cache
def service(kind: Kind, *, jailed: bool) -> Service:
    """What a jail has to mount and load for it; without a jail, where its packages are.

    Raises:
        Missing: it is not installed, or not for the Python that runs in jails.
    """
    name, module = _LIBRARIES[kind]
    found = packages(name)
    path = tuple(dict.fromkeys(str(one.parent) for one in found))
    return Service(module, Mounts(packages=usable(found, name) if jailed else ()), path)
