"""Which files a recipe may read: those of its own folder, and whatever the user names. Opens none.

A recipe is somebody else's text. What it names is looked for in the folder of its file and must lie
there, links resolved, under a name of the wanted kind; nothing hidden, no device, no pipe. Where
the recipe's file is itself reached by a link, its folder is the one that the file lies in. What the
user names with ``--set`` may be anywhere. Every key that names a file asks here.
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
    "chat_template",
)
# Where names are no files of anybody's; only a recipe that lies in one of them could reach it.
SPECIAL: Final = tuple(map(Path, ("/proc", "/sys", "/dev")))
SHOWN = 100  # characters of a name in an error
# owner/name, with letters that no path needs. A bare name could be a folder, or one of the readers
# of folders that the package datasets brings (text, csv, imagefolder).
HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a recipe's values come from: its file, and which of them the user gave."""

    path: Path  # as it was found, for errors
    given: frozenset[Keys] = frozenset()  # by --set, down to each value: ("problems", "file")

    @property
    def folder(self) -> Path:
        """The folder that the recipe may read in: of its file, links resolved."""
        return self.path.resolve().parent

    def gave(self, key: str) -> bool:
        """Whether the user gave the value at that dotted key."""
        return tuple(key.split(".")) in self.given


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What may stand at a key."""

    wanted: str  # for people
    suffixes: tuple[str, ...] = ()  # of a file, in lower case; none: no file
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
        key: where it stands, e.g. ``problems.file`` or ``teachers.0.at``.
        origin: the recipe.
        kind: what may stand there. A file that the user gave may have any name.

    Raises:
        UserError: the recipe names what is not its own to read.
    """
    free = _there(Path(text)) if origin.gave(key) else None
    if free is not None and (kind.folder if free.is_dir() else kind.suffixes and free.is_file()):
        return free
    return _own(text, key, origin, kind)


def pattern(text: str, key: str, origin: Origin) -> Path:
    """A recipe's text with ``*`` in it as a pattern in its folder; what it finds ``own`` checks.

    Raises:
        UserError: it looks elsewhere.
    """
    path = Path(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise _refused(text, key, origin, f"looks outside of the recipe's folder ({origin.folder})")
    return origin.folder / path


def own(found: Iterable[Path], key: str, origin: Origin, kind: Kind) -> list[Path]:
    """The files that a recipe's own pattern or folder stands for, links resolved.

    Raises:
        UserError: one of them is not the recipe's to read.
    """
    return [_checked(path, str(path), key, origin, kind) for path in found]


def missing(text: str, key: str, origin: Origin, what: str = "no such file") -> UserError:
    """The error for a value that names nothing; says so where the working directory has it."""
    said = f"{origin.path}: {key}: {_shown(text)}: {what}"
    if not origin.gave(key) and _there(Path(text)) is not None:
        said += f" beside the recipe, and a recipe reads nowhere else; {_way_out(text, key)}"
    return UserError(said)


def _own(text: str, key: str, origin: Origin, kind: Kind) -> Path | None:
    asked = _there(origin.folder / _at_home(Path(text)))
    return None if asked is None else _checked(asked, text, key, origin, kind)


def _checked(asked: Path, text: str, key: str, origin: Origin, kind: Kind) -> Path:
    found = asked.resolve()
    why = _strange(found, origin.folder)
    if why is None and not (kind.folder if found.is_dir() else _has_suffix(found, kind)):
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
    """A path that starts at the recipe, as it has to be typed: ``--set`` starts where the user is.

    What is not there is left as it is.
    """
    beside = origin.folder / _at_home(Path(text))
    if _there(beside) is None or beside.resolve() == _at_home(Path(text)).resolve():
        return text
    return os.path.relpath(os.path.normpath(beside))


def _strange(found: Path, folder: Path) -> str | None:
    """Why a recipe in ``folder`` may not read it; None if it may."""
    if (why := _not_inside(found, folder)) is not None:
        return why
    return None if found.is_dir() or found.is_file() else "is no regular file"


def _has_suffix(found: Path, kind: Kind) -> bool:
    return any(found.name.lower().endswith(suffix) for suffix in kind.suffixes)


def _not_inside(found: Path, folder: Path) -> str | None:
    if not found.is_relative_to(folder):
        return f"is outside of the recipe's folder ({folder})"
    if any(part.startswith(".") for part in found.relative_to(folder).parts):
        return "is hidden"
    if any(found.is_relative_to(r) and not folder.is_relative_to(r) for r in SPECIAL):
        return "is no file of yours"
    return None


def _inside(folder: Path) -> Iterable[Path]:
    """Everything in a folder that is not hidden; linked folders are not entered."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in (*folders, *files) if not name.startswith("."))


def _leads_out(path: Path, folder: Path) -> str | None:
    """Why a folder with that entry may not be read by a recipe in ``folder``."""
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        strange = not (stat.S_ISDIR(mode) or stat.S_ISREG(mode))
        return f"holds {path.name!r}, no regular file" if strange else None
    found = _there(path)
    if found is None:  # a link to nothing is read by nobody
        return None
    found = found.resolve()
    renamed = not found.is_dir() and found.suffix.lower() != path.suffix.lower()
    if _not_inside(found, folder) or renamed or not (found.is_dir() or found.is_file()):
        return f"holds {path.name!r}, a link out of the recipe's folder or to another kind of file"
    return None


def _there(path: Path) -> Path | None:
    """The path if anything is there; a name that no file can have is nothing."""
    path = _at_home(path)
    try:
        path.stat()
    except (OSError, ValueError):
        return None
    return path


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # the home of nobody
        return path


def _shown(text: str) -> str:
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return short if text.isprintable() else repr(short)


def _way_out(text: str, key: str) -> str:
    """How the user names it; a list is given whole."""
    parts = key.split(".")
    number = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    if number is not None:
        return f"to read it, name it yourself: --set {'.'.join(parts[:number])}=[…]"
    value = text if text.isprintable() and len(text) <= SHOWN else "…"
    return f"to read it, name it yourself: --set {shlex.quote(f'{key}={value}')}"
