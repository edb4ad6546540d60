"""The user's own list of which variable may go where as a key. Does not ask the user.

``distill/trust.yaml`` in the configuration folder: no recipe can name or change it. An entry is one
origin and one variable, nothing wider.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import yaml
from pydantic import AfterValidator, TypeAdapter, ValidationError

from distill.errors import UserError
from distill.files.write import write_atomic
from distill.recipes.read import parse_yaml
from distill.recipes.strict import Strict
from distill.recipes.teachers import Address, KeyName
from distill.teachers.address import origin_of

HEAD = (
    "# Which variables distill may send as a key, and where. Take a line out to be asked again.\n"
)
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
MOST_BYTES = 1 << 20  # about ten thousand entries; nobody's list is longer
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Entry(Strict):
    """A variable that may go to an origin as a key."""

    origin: Annotated[Address, AfterValidator(origin_of)]
    key_env: KeyName


ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])


@dataclass(frozen=True, slots=True)
class TrustList:
    """The list in one file."""

    path: Path

    def holds(self, origin: str, key_env: str) -> bool:
        """Whether that variable may go to that origin.

        Raises:
            UserError: the list cannot be read, or somebody else could have written it.
        """
        return Entry(origin=origin, key_env=key_env) in self._read()

    def add(self, origin: str, key_env: str) -> None:
        """Puts an entry in, for good.

        Raises:
            UserError: as ``holds``, or it cannot be written.
        """
        entries = dict.fromkeys([*self._read(), Entry(origin=origin, key_env=key_env)])
        lines = [f"- {orjson.dumps(entry.model_dump()).decode()}\n" for entry in entries]
        try:
            self.path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            write_atomic(self.path, lambda part: _write_private(part, HEAD + "".join(lines)))
        except OSError as error:
            msg = f"{self.path}: cannot be written: {error.strerror}; {_OTHERWISE}"
            raise UserError(msg) from None

    def _read(self) -> list[Entry]:
        try:
            text = _read_private(self.path)
            return ENTRIES.validate_python(parse_yaml(text) or [])
        except FileNotFoundError:
            return []
        except OSError as error:
            msg = f"{self.path}: cannot be read: {error.strerror}; {_OTHERWISE}"
            raise UserError(msg) from None
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError, RecursionError):
            msg = f'{self.path}: not a list of {{"origin": "https://…", "key_env": "NAME"}}; fix '
            raise UserError(msg + "it, or move it away") from None


_OTHERWISE = "or name address and variable on the command line"


def trust_list() -> TrustList:
    """The user's list: in $XDG_CONFIG_HOME, else ~/.config, then distill/trust.yaml.

    Raises:
        UserError: the home folder is not known.
    """
    root = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    folder = Path(root) if root.startswith("/") else Path.home() / ".config"
    if not folder.is_absolute():
        msg = f"HOME: {folder.parent}: is not an absolute path, so the trust list cannot be found"
        raise UserError(msg)
    return TrustList(folder / "distill" / "trust.yaml")


def _read_private(path: Path) -> str:
    """The text of a file that only the user can have written; what was checked is what is read.

    Raises:
        UserError: somebody else could have written it.
        OSError: it is not there, or cannot be read.
    """
    _refuse_others(path.parent, path.parent.stat())
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            msg = f"{path}: is not a trust list; move it away"
            raise UserError(msg)
        _refuse_others(path, found)
        return file.read().decode("utf-8")


def _refuse_others(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        msg = f"{path}: belongs to another user, so it is not believed; next: chown or remove it"
        raise UserError(msg)
    if found.st_mode & OTHERS_WRITE:
        msg = f"{path}: others can write to it, so it is not believed; next: chmod go-w {path}"
        raise UserError(msg)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # of a write that was killed
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode())
