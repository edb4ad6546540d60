"""Compilers of this machine that an unprivileged user can start. Does not compile."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from distill.jail.interpreter import account
from distill.jail.mounts import Mounts

SYSTEM = "/usr/bin"
COMPILER_BYTES = 512 << 20  # of files while a compiler runs: Go keeps the packages that it made
# What compilers of the system read besides the libraries, and what Debian moves out of their homes.
_PARTS = ("/usr/bin", "/usr/include", "/usr/libexec")
_MOVED = (("/usr/share", "go-*"), ("/etc", "java-*-openjdk"))
_ASKED = {
    "go": ["version"],
    "rustc": ["--print", "sysroot"],
    "javac": ["-J-XX:-UsePerfData", "-version"],
}


@cache
def tool(*names: str) -> Path | None:
    """The first of these that is there, the system's own before others on PATH."""
    for name in names:
        for found in (shutil.which(name, path=SYSTEM), shutil.which(name)):
            if found and (path := _started(name, Path(found))):
                return path
    return None


def _started(name: str, path: Path) -> Path | None:
    """Itself, without the links to it, if it starts."""
    try:
        said = subprocess.run(
            [str(path), *_ASKED.get(name, ["--version"])],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath, "HOME": "/nonexistent"},
            cwd="/",
            timeout=60,
            **account(),
        )
        if said.returncode != 0:
            return None
        if name == "rustc":  # rustup's is a door to the real one
            return Path(said.stdout.strip(), "bin", "rustc").resolve(strict=True)
        return path.resolve(strict=True)
    except (OSError, subprocess.TimeoutExpired):
        return None


def compiler_mounts(*tools: Path) -> Mounts:
    """A jail for these, and for whatever else of the system they need."""
    return Mounts(_there(*_PARTS, *map(_home, tools), *_moved()), temporary_bytes=COMPILER_BYTES)


def runtime_mounts(tool: Path) -> Mounts:
    """A jail for programs that this one runs; nothing else of the system is there."""
    if tool.name == "node":
        return Mounts((str(tool),))
    return Mounts(_there(_home(tool), *_moved()))


def _home(tool: Path) -> str:
    """/usr/local/go for /usr/local/go/bin/go; the program alone where that holds other things too.

    A toolchain's folder has what only such have; a folder of a person is none, whatever is in it.
    """
    home = tool.parent.parent
    personal = home in (Path.home(), *Path.home().parents) or home.name.startswith(".")
    own = any((home / mark).exists() for mark in ("pkg/tool", "lib/rustlib", "release"))
    return str(home) if own and not personal and str(home) != "/usr" else str(tool)


def _moved() -> list[str]:
    return [str(path) for place, name in _MOVED for path in sorted(Path(place).glob(name))]


def _there(*wanted: str) -> tuple[str, ...]:
    """Each once, and none that libraries are bound from in any case."""
    there = [path for path in dict.fromkeys(wanted) if path and Path(path).exists()]
    return tuple(path for path in there if not path.startswith("/usr/lib/"))
