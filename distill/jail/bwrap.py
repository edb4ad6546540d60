"""The command line that makes a jail: bubblewrap, a Python, and nothing else of the host.

Does not start it.
"""

import json
import os
import shutil
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
TEMPORARY_BYTES = 32 << 20  # of files in the jail: a program's input of 16 MiB at most, and its own
SHARED_BYTES = 4 << 20
HINT = (
    "next: install bubblewrap 0.8 or newer (apt-get install bubblewrap) and allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container, --security-opt seccomp=unconfined --security-opt systempaths=unconfined), "
    "or give --unsafe-no-sandbox: it runs model-written code as your user, with your files, keys "
    "and network in reach"
)
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


def account() -> Account:
    """Nobody when we are root, otherwise whoever we are."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def find() -> Path | None:
    """Bubblewrap, the system's own before any other on PATH; None where there is none."""
    found = shutil.which("bwrap", path="/usr/bin") or shutil.which("bwrap")
    return Path(found) if found else None


@cache
def interpreter() -> Interpreter:
    """This Python, or the system's where this one lies in a folder of root's only.

    Raises:
        UserError: neither can be started by an unprivileged user.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (Path(sys.base_prefix, "bin", version), Path("/usr/bin/python3")):
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


def command(bwrap: Path, python: Interpreter, *, filter_fd: int) -> list[str]:
    """Bubblewrap with everything closed, up to and including the Python that it starts."""
    home = "/python"
    library = f"{home}/lib/{python.library.name}"
    args = [str(bwrap), "--unshare-all", "--unshare-user", "--disable-userns"]
    args += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    args += ["--hostname", "jail", "--clearenv"]
    for name, value in environment(home).items():
        args += ["--setenv", name, value]
    args += _system_libraries()
    args += ["--ro-bind", str(python.executable), f"{home}/bin/python3"]
    args += ["--ro-bind", str(python.library), library]
    for shared in sorted(python.library.parent.glob("libpython3*.so*")):
        args += ["--ro-bind", str(shared), f"{home}/lib/{shared.name}"]
    if (python.library / "site-packages").exists():
        args += _tmpfs(f"{library}/site-packages", 4096, final=True)
    args += ["--proc", "/proc", *_tmpfs("/proc/1", 4096, final=True)]
    for device in ("null", "zero", "urandom"):
        args += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        args += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    args += _tmpfs("/dev/shm", SHARED_BYTES) + _tmpfs("/tmp", TEMPORARY_BYTES)
    args += ["--remount-ro", "/", "--chdir", "/tmp"]
    args += ["--seccomp", str(filter_fd), f"{home}/bin/python3"]
    return args


def environment(home: str) -> dict[str, str]:
    """All that a candidate finds in its environment."""
    return {
        "LD_LIBRARY_PATH": f"{home}/lib",
        "OPENBLAS_NUM_THREADS": "1",  # each thread of it would reserve address space
        "PYTHONHASHSEED": "0",  # the order of sets must not decide what is right
    }


def _tmpfs(path: str, size: int, *, final: bool = False) -> list[str]:
    return ["--size", str(size), "--tmpfs", path] + (["--remount-ro", path] if final else [])


def _system_libraries() -> list[str]:
    """/usr/lib and /usr/lib64, and the names by which the loader looks for them."""
    args = []
    for name in ("lib", "lib64"):
        real, link = Path("/usr", name), Path("/", name)
        if real.is_dir():
            args += ["--ro-bind", str(real), str(real)]
        if link.is_symlink():
            args += ["--symlink", str(link.readlink()), str(link)]
        elif link.is_dir():
            args += ["--ro-bind", str(link), str(link)]
    return args
