"""The open file of a ledger: written in transactions, watched, and saved where it is lost.

What was paid for is never lost: SQLite still has all of a file that was deleted, renamed or
replaced, and that is copied to a new one beside it. A file that another program wrote into is left
as it is, and what comes afterwards goes to a new file.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from distill.errors import UserError
from distill.ledger.rows import request_key
from distill.ledger.saved import free
from distill.ledger.schema import Transaction, connect
from distill.ledger.watch import Fault, Watch

T = TypeVar("T")
# Frames of the log from which on it is copied into the ledger: SQLite's own default. It is done
# here, so that any other change of the ledger's file is somebody else's.
COPY_FRAMES = 1000


class Hold:
    """An open ledger file. ``watch`` is called once it is known to be one."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        """Opens it; see ``schema.connect``."""
        self.path = path
        self.moved: Path | None = None  # where what it held is saved
        self._before: list[sqlite3.Connection] = []
        self._watch: Watch | None = None
        self.db = self._opened(path, read_only=read_only)

    def watch(self) -> None:
        """From now on its files are looked after.

        Raises:
            OSError: they are gone already.
        """
        if self.db.execute("PRAGMA journal_mode").fetchone() == (
            "wal",
        ):  # else SQLite can have none
            self.db.execute("PRAGMA wal_autocheckpoint = 0")
            self._watch = Watch(self.path)

    def close(self) -> None:
        """Closes it; SQLite leaves files alone that are not its own."""
        for db in (self.db, *self._before):
            db.close()
        if self._watch is not None:
            self._watch.close()

    def fault(self) -> Fault | None:
        """What has become of its files; None while nothing has. From any thread."""
        return None if self._watch is None else self._watch.fault()

    def check(self) -> None:
        """Ends what is not sent yet, where an answer could not be kept.

        Raises:
            UserError: the file is lost, or changed by another program.
        """
        if (fault := self.fault()) is not None:
            msg = f"{fault.file}: {fault.what} in the middle of the run"
            raise UserError(msg)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction; afterwards the log is copied into the ledger if it has grown long."""
        watch = None if self.moved else self._watch
        if watch is None:
            with Transaction(self.db):
                yield
            return
        with watch.writing():
            with Transaction(self.db):
                yield
            watch.look()
            if watch.frames >= COPY_FRAMES and watch.fault() is None:
                with suppress(sqlite3.OperationalError):  # as SQLite does: it is in the log
                    self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                watch.look(copied=True)

    def keep(self, write: Callable[[], T]) -> T:
        """What ``write`` gives, done in a transaction that lasts, in a new file if need be.

        Raises:
            sqlite3.Error, OSError: it can be kept nowhere.
        """
        if self.moved is None and self.fault() is not None:
            self.save()
        try:
            with self.writing():
                done = write()
        except sqlite3.DatabaseError:
            if self.moved is not None or self.fault() is None:
                raise
        else:
            fault = self.fault()
            if self.moved is not None or fault is None or fault.whole:
                return done
        self.save()
        with self.writing():
            return write()

    def save(self) -> None:
        """Goes on in a new file beside the one that is lost, with all that it held.

        Raises:
            sqlite3.Error, OSError: there is no room, or nothing can be written there.
        """
        fault = self.fault()
        whole = fault is not None and fault.whole
        self.path.parent.mkdir(parents=True, exist_ok=True)
        place = free(self.path, "saved" if whole else "rest")
        if whole:
            part = place.with_name(f".{place.name}.part")
            part.unlink(missing_ok=True)
            with closing(sqlite3.connect(part)) as copy:
                self.db.backup(copy)
            part.replace(place)
        self._before.append(self.db)
        self.db = self._opened(place, read_only=False)
        self.moved = place

    def settle(self) -> None:
        """Saves what is held of a file that is lost. Otherwise nothing.

        Raises:
            UserError: it is lost or was changed; the text says where everything is.
        """
        if (fault := self.fault()) is None:
            return
        kept = "what was paid for before is to be looked through"
        try:
            if fault.whole and self.moved is None:
                self.save()
            if self.moved is not None:
                what = "all that was paid for" if fault.whole else "what was paid for since"
                kept = f"{what} is in {self.moved.name}"
        except (sqlite3.Error, OSError) as error:
            kept = f"what it held could not be saved: {error}"
        msg = (
            f"{fault.file}: {fault.what} in the middle of the run; {kept}; next: distill status "
            f"--repair {self.path.parent}, then the same command goes on"
        )
        raise UserError(msg)

    def _opened(self, path: Path, *, read_only: bool) -> sqlite3.Connection:
        db = connect(path, read_only=read_only)
        db.create_function("request_key", 5, request_key, deterministic=True)
        return db
