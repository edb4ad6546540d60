"""Finds the Python that runs in a jail, and the account that starts it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from distill.errors import UserError

# Modules that solutions commonly import, loaded before a warm jail takes its first program. 17 ms.
# fmt: off
PRELOADED = (
    "abc", "array", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "heapq", "io", "itertools", "json",
    "math", "numbers", "operator", "queue", "random", "re", "statistics", "string", "textwrap",
    "threading", "time", "traceback", "types", "typing",
)
# fmt: on
# An account that owns nothing: 65534 is "nobody" on every Linux.
NOBODY = 65534
HOME = "/python"  # its place in a jail
# Prints what we need to know about a Python; it must be able to import what warm jails load.
_DESCRIBE = (
    "import json, sys, sysconfig, importlib.util, {names}; "
    "print(json.dumps([sysconfig.get_path('stdlib'), sys.version_info[:2], "
    "importlib.util.MAGIC_NUMBER.hex()]))"
)


class Account(TypedDict, total=False):
    """Arguments of Popen that give up root."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that an unprivileged user can start."""

    executable: Path
    library: Path  # its standard library, lib/python3.X
    version: tuple[int, int]
    magic: bytes  # of its compiled code

    def shared(self) -> list[Path]:
        """Its shared libraries, if it is not a single file."""
        return sorted(self.library.parent.glob("libpython3*.so*"))


def account() -> Account:
    """``nobody`` if we are root, else our own account."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@cache
def interpreter() -> Interpreter:
    """This Python, or the system's if only root can read this one.

    Of the system's, the one with our version goes first, because it can load our compiled packages.

    Raises:
        UserError: neither can be started by an unprivileged user.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = (Path("/usr/bin", version), Path("/usr/bin/python3"))
    for path in (Path(sys.base_prefix, "bin", version), *system):
        found = _described(path)
        if found is not None and found.version >= (3, 11):
            return found
    text = (
        f"user {NOBODY} can start neither the Python in {sys.base_prefix} nor a /usr/bin/python3 "
        "of 3.11 or newer, and untrusted code must not run as root; next: apt-get install python3, "
        "or a Python outside /root"
    )
    raise UserError(text)


def _described(path: Path) -> Interpreter | None:
    code = _DESCRIBE.format(names=", ".join(PRELOADED))
    try:
        command = [str(path), "-I", "-S", "-c", code]
        env = {"LD_LIBRARY_PATH": str(path.resolve().parent.parent / "lib")}
        shown = subprocess.run(command, capture_output=True, env=env, cwd="/", **account())
    except OSError:
        return None
    if shown.returncode != 0:
        return None
    library, (major, minor), magic = json.loads(shown.stdout)
    return Interpreter(path.resolve(), Path(library), (major, minor), bytes.fromhex(magic))


def environment(home: str) -> dict[str, str]:
    """The whole environment of a candidate."""
    return {
        "LD_LIBRARY_PATH": f"{home}/lib",
        "OPENBLAS_NUM_THREADS": "1",  # each of its threads would reserve address space
        "PYTHONHASHSEED": "0",  # the order of sets must not decide what is right
    }
