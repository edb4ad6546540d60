"""Finds compilers on this machine that an unprivileged user can start."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from distill.jail.interpreter import account
from distill.jail.mounts import Mounts

SYSTEM = "/usr/bin"
COMPILER_BYTES = 512 << 20  # of files while a compiler runs: Go keeps the packages it has built
# What system compilers read besides the libraries, and what Debian moves out of their folders.
_PARTS = ("/usr/bin", "/usr/include", "/usr/libexec")
_MOVED = (("/usr/share", "go-*"), ("/etc", "java-*-openjdk"))
_ASKED = {
    "go": ["version"],
    "rustc": ["--print", "sysroot"],
    "javac": ["-J-XX:-UsePerfData", "-version"],
}


@cache
def tool(*names: str) -> Path | None:
    """The first of these that can be started; the system's own go before others on PATH."""
    for name in names:
        for found in (shutil.which(name, path=SYSTEM), shutil.which(name)):
            if found and (path := _started(name, Path(found))):
                return path
    return None


def _started(name: str, path: Path) -> Path | None:
    """Its path with links resolved, if it can be started."""
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
        if name == "rustc":  # rustup's only forwards to the real one
            return Path(said.stdout.strip(), "bin", "rustc").resolve(strict=True)
        return path.resolve(strict=True)
    except (OSError, subprocess.TimeoutExpired):
        return None


def compiler_mounts(*tools: Path) -> Mounts:
    """The mounts for these compilers, with whatever else of the system they need."""
    return Mounts(_there(*_PARTS, *map(_home, tools), *_moved()), temporary_bytes=COMPILER_BYTES)


def runtime_mounts(tool: Path) -> Mounts:
    """The mounts for programs that this tool runs, and nothing else of the system."""
    if tool.name == "node":
        return Mounts((str(tool),))
    return Mounts(_there(_home(tool), *_moved()))


def _home(tool: Path) -> str:
    """/usr/local/go for /usr/local/go/bin/go; only the program if the folder is not a toolchain's.

    A toolchain's folder has a typical file in it, and is never a person's home.
    """
    home = tool.parent.parent
    personal = home in (Path.home(), *Path.home().parents) or home.name.startswith(".")
    own = any((home / mark).exists() for mark in ("pkg/tool", "lib/rustlib", "release"))
    return str(home) if own and not personal and str(home) != "/usr" else str(tool)


def _moved() -> list[str]:
    return [str(path) for place, name in _MOVED for path in sorted(Path(place).glob(name))]


def _there(*wanted: str) -> tuple[str, ...]:
    """Each existing path once, without those below /usr/lib, which is always mounted."""
    there = [path for path in dict.fromkeys(wanted) if path and Path(path).exists()]
    return tuple(path for path in there if not path.startswith("/usr/lib/"))
