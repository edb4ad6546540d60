"""Finds exactly the files that an installed package needs to be imported in a jail."""

import atexit
import os
import re
import shutil
import sys
import tempfile
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from distill.jail.interpreter import account, interpreter
from distill.jail.service import Missing

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"\bextra\s*==")


def packages(name: str) -> tuple[Path, ...]:
    """The folders and modules of a distribution and of all its requirements, each once.

    Raises:
        Missing: it is not installed.
    """
    found: dict[str, Distribution] = {}
    try:
        _collect(name, found)
    except PackageNotFoundError:
        text = f"{name} is not installed"
        raise Missing(text) from None
    return tuple(dict.fromkeys(path for one in found.values() for path in _top(one)))


def _collect(name: str, found: dict[str, Distribution]) -> None:
    """Adds it and its requirements, optional ones if they are installed."""
    found[_plain(name)] = one = distribution(name)
    for requirement in one.requires or ():
        match = _NAME.match(requirement)
        if match is None or _EXTRA.search(requirement) or _plain(match[0]) in found:
            continue
        try:
            _collect(match[0], found)
        except PackageNotFoundError:  # it is for another system, or the import will fail
            continue


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _top(one: Distribution) -> list[Path]:
    """The top-level paths that it installed; none for a checkout, which has no list of them."""
    if one.read_text("RECORD") is None:
        return []
    names: dict[str, None] = {}  # a set in the order of first use
    for file in one.files or ():
        top = file.parts[0]
        alone = len(file.parts) == 1 and file.suffix not in (".py", ".so")
        if top not in ("..", "__pycache__") and not Path(top).is_absolute() and not alone:
            names[top] = None
    paths = (Path(str(one.locate_file(top))) for top in names)
    return [path.resolve() for path in paths if path.exists()]


def usable(paths: tuple[Path, ...], name: str) -> tuple[str, ...]:
    """The same paths, or copies of them if only root can read them.

    Raises:
        Missing: they are compiled for another Python than the jail's.
    """
    theirs, ours = interpreter().version, sys.version_info[:2]
    if theirs != ours and any(map(_is_compiled, paths)):
        version = ".".join(map(str, ours))
        text = (
            f"{name} is compiled for Python {version}, and the jail's is "
            f"{'.'.join(map(str, theirs))}; next: apt-get install python{version}, or a Python "
            "outside /root"
        )
        raise Missing(text)
    if all(map(_is_public, paths)):
        return tuple(map(str, paths))
    return tuple(str(_copied(path)) for path in paths)


def _is_compiled(path: Path) -> bool:
    return path.suffix == ".so" or any(path.rglob("*.so"))


def _is_public(path: Path) -> bool:
    """Whether the account that starts jails can read it."""
    if not account():
        return True
    ways = (parent.stat().st_mode & 0o001 for parent in path.parents)
    return all(ways) and bool(path.stat().st_mode & 0o004)


def _copied(path: Path) -> Path:
    target = _staging() / path.name
    if path.is_file():
        _copy(path, target)
        return target
    for place, folders, files in os.walk(path):
        # a library's own tests are half of its files
        folders[:] = [name for name in folders if name not in ("tests", "test")]
        into = target / Path(place).relative_to(path)
        into.mkdir(exist_ok=True)
        into.chmod(0o755)
        for file in files:
            _copy(Path(place, file), into / file)
    return target


def _copy(source: Path, target: Path) -> None:
    """Copies a file with its time, by which Python recognises the compiled file beside it."""
    shutil.copyfile(source, target)
    target.chmod(0o644)
    times = source.stat()
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


@cache
def _staging() -> Path:
    """A fresh folder that everybody can read and only we can write, removed when we exit."""
    place = None if _is_public(Path(tempfile.gettempdir())) else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="distill-packages-", dir=place))
    folder.chmod(0o755)
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a fork of ours
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
