"""Which files a recipe may read: those in its own folder, and whatever the user names.

A recipe may come from somebody else. What it names is looked for in its own folder and must be
there with all links resolved, under a name of the wanted kind; hidden files, devices and pipes are
refused. If the recipe itself is reached by a link, its folder is that of the real file. What the
user names with ``--set`` may be anywhere. Every key that names a file is checked here.
"""

import os
import re
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from distill.errors import UserError

Keys = tuple[str, ...]
# Every key of a recipe that can name a file or folder of this machine.
PLACES: Final = (
    "template",
    "verify",
    "problems.file",
    "problems.traces",
    "teacher.at",
    "teachers.*.at",
    "serve.model",
    "tokenizer",
    "score_model",
    "signals.*",
    "checks.*",
    "decontaminate.against.*",
    "judge",
    "base",
    "validation.data",
    "chat_template",
)
# Not real files; only a recipe inside one of them could reach it.
SPECIAL: Final = tuple(map(Path, ("/proc", "/sys", "/dev")))
SHOWN = 100  # characters of a name in an error
# owner/name. A bare name could be a folder, or one of the builders of the package datasets (text,
# csv, imagefolder).
HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of a recipe's values: its file, and which of them the user gave."""

    path: Path  # as it was found, for errors
    given: frozenset[Keys] = frozenset()  # by --set, down to each value: ("problems", "file")

    @property
    def folder(self) -> Path:
        """The folder that the recipe may read: that of its file, links resolved."""
        return self.path.resolve().parent

    def gave(self, key: str) -> bool:
        """Whether the user gave the value at that dotted key."""
        return tuple(key.split(".")) in self.given


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a key may name."""

    wanted: str  # for messages
    suffixes: tuple[str, ...] = ()  # of a file, in lower case; none: no file is allowed
    folder: bool = False


TEMPLATE: Final = Kind(wanted="a .jinja file", suffixes=(".jinja",))
RECIPE: Final = Kind(wanted="a .yaml file", suffixes=(".yaml",))
WEIGHTS: Final = Kind(wanted="a folder or a .gguf file", suffixes=(".gguf",), folder=True)
TOKENIZER: Final = Kind(wanted="a folder or a .json file", suffixes=(".json",), folder=True)
FOLDER: Final = Kind(wanted="a folder", folder=True)


def place(text: str, key: str, origin: Origin, kind: Kind) -> Path | None:
    """The file or folder that a value names; None if there is none of the kind.

    A recipe's own is returned with its links resolved: what was checked is what is opened.

    Args:
        text: the value.
        key: its key, e.g. ``problems.file`` or ``teachers.0.at``.
        origin: the recipe.
        kind: what the key may name. A file that the user gave may have any name.

    Raises:
        UserError: the recipe names a file that it may not read.
    """
    free = _there(Path(text)) if origin.gave(key) else None
    if free is not None and (kind.folder if free.is_dir() else kind.suffixes and free.is_file()):
        return free
    return _own(text, key, origin, kind)


def pattern(text: str, key: str, origin: Origin) -> Path:
    """A recipe's text with ``*`` in it as a pattern in its folder; ``own`` checks what it finds.

    Raises:
        UserError: it looks outside that folder.
    """
    path = Path(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise _refused(text, key, origin, f"looks outside the recipe's folder ({origin.folder})")
    return origin.folder / path


def own(found: Iterable[Path], key: str, origin: Origin, kind: Kind) -> list[Path]:
    """The files that a recipe's own pattern or folder matches, links resolved.

    Raises:
        UserError: the recipe may not read one of them.
    """
    return [_checked(path, str(path), key, origin, kind) for path in found]


def missing(text: str, key: str, origin: Origin, what: str = "no such file") -> UserError:
    """The error for a value that names nothing; mentions if the working directory has it."""
    said = f"{origin.path}: {key}: {_shown(text)}: {what}"
    if not origin.gave(key) and _there(Path(text)) is not None:
        said += f" beside the recipe, and a recipe reads nowhere else; {_way_out(text, key)}"
    return UserError(said)


def _own(text: str, key: str, origin: Origin, kind: Kind) -> Path | None:
    asked = _there(origin.folder / _at_home(Path(text)))
    return None if asked is None else _checked(asked, text, key, origin, kind)


def _checked(asked: Path, text: str, key: str, origin: Origin, kind: Kind) -> Path:
    found = asked.resolve()
    why = _not_inside(found, origin.folder)
    if why is None and not (found.is_dir() or found.is_file()):
        why = "is not a regular file"
    fits = kind.folder if found.is_dir() else found.name.lower().endswith(kind.suffixes)
    if why is None and not fits:
        msg = f"{origin.path}: {key}: {_shown(text)}: give {kind.wanted}"
        raise UserError(msg)
    if why is None and found.is_dir():
        why = next(filter(None, (_leads_out(p, origin.folder) for p in _inside(found))), None)
    if why is not None:
        raise _refused(text, key, origin, why)
    return found


def _refused(text: str, key: str, origin: Origin, why: str) -> UserError:
    return UserError(
        f"{origin.path}: {key}: {_shown(text)}: {why}; a recipe reads only what is its own, in its "
        f"folder; {_way_out(_from_here(text, origin), key)}"
    )


def _from_here(text: str, origin: Origin) -> str:
    """A recipe's path as the user has to type it: ``--set`` starts in the working directory.

    A path that does not exist is left as it is.
    """
    beside = origin.folder / _at_home(Path(text))
    if _there(beside) is None or beside.resolve() == _at_home(Path(text)).resolve():
        return text
    return os.path.relpath(os.path.normpath(beside))


def _not_inside(found: Path, folder: Path) -> str | None:
    """Why a recipe in ``folder`` may not read that path; None if it may."""
    if not found.is_relative_to(folder):
        return f"is outside the recipe's folder ({folder})"
    if any(part.startswith(".") for part in found.relative_to(folder).parts):
        return "is hidden"
    if any(found.is_relative_to(r) and not folder.is_relative_to(r) for r in SPECIAL):
        return "is not one of your files"
    return None


def _inside(folder: Path) -> Iterable[Path]:
    """Everything in a folder that is not hidden; linked folders are not entered."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in (*folders, *files) if not name.startswith("."))


def _leads_out(path: Path, folder: Path) -> str | None:
    """Why a recipe in ``folder`` may not read a folder with that entry; None if it may."""
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        regular = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        return None if regular else f"holds {path.name!r}, which is not a regular file"
    found = _there(path)
    if found is None:  # a dangling link cannot be read
        return None
    found = found.resolve()
    renamed = not found.is_dir() and found.suffix.lower() != path.suffix.lower()
    if _not_inside(found, folder) or renamed or not (found.is_dir() or found.is_file()):
        return f"holds {path.name!r}, a link out of the recipe's folder or to another kind of file"
    return None


def _there(path: Path) -> Path | None:
    """The path if it exists; None also for a name that no file can have."""
    path = _at_home(path)
    try:
        path.stat()
    except (OSError, ValueError):
        return None
    return path


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def _shown(text: str) -> str:
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return short if text.isprintable() else repr(short)


def _way_out(text: str, key: str) -> str:
    """How the user can name it; a list has to be given whole."""
    parts = key.split(".")
    number = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    if number is not None:
        return f"to read it, name it yourself: --set {'.'.join(parts[:number])}=[…]"
    value = text if text.isprintable() and len(text) <= SHOWN else "…"
    return f"to read it, name it yourself: --set {shlex.quote(f'{key}={value}')}"
