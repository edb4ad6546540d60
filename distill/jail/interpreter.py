"""The Python that runs in a jail, and the account that starts it. Does not start either."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from distill.errors import UserError

# Loaded before a warm jail takes its first program: what solutions commonly import. 17 ms.
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
HOME = "/python"  # where it lies in a jail
# The Python that is there, and what it needs to show: it must load what warm jails load.
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
        """The libraries that it is made of, where it is not one file."""
        return sorted(self.library.parent.glob("libpython3*.so*"))


def account() -> Account:
    """Nobody when we are root, otherwise whoever we are."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@cache
def interpreter() -> Interpreter:
    """This Python, or the system's where this one lies in a folder of root's only.

    Of the system's the one of our version, if there is one: it can load our compiled packages.

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
    """All that a candidate finds in its environment."""
    return {
        "LD_LIBRARY_PATH": f"{home}/lib",
        "OPENBLAS_NUM_THREADS": "1",  # each thread of it would reserve address space
        "PYTHONHASHSEED": "0",  # the order of sets must not decide what is right
    }
