"""Makes a new ledger of what a damaged one still holds, and keeps the damaged one beside it.

An answer counts only if its request, its try and its text are all there and agree; what lacks one
of them is left out, so it will be asked again. Knows no wire: the caller says how an answer's text
is parsed.
"""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from distill.errors import UserError
from distill.files.lock import folder_lock
from distill.files.write import sync
from distill.ledger.explain import not_opened
from distill.ledger.readable import columns, is_known
from distill.ledger.reconcile import Parse, contradictions
from distill.ledger.remake import KNOWN, TABLES_READ, Counts, count_rows, remake
from distill.ledger.saved import beside, free
from distill.ledger.schema import TABLES, VERSION, connect
from distill.ledger.wal import is_damaged

SIDES = ("-wal", "-shm")  # files that SQLite keeps beside its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair found and brought."""

    damage: str
    kept_as: Path | None  # the file that stood there
    rows: Counts


def repair(folder: Path, *, parse: Parse) -> Repaired | None:
    """Puts a new ledger in the place of a damaged one; None: it is sound, and nothing was changed.

    Args:
        folder: a run; it is held for this process meanwhile.
        parse: of an answer's raw body; raises ValueError where it is no answer.

    Raises:
        UserError: no run, a run that is under way, a ledger that another program has open or that
            may not be opened, one of a later version, no room on the disk, or nothing that can be
            read.
    """
    path = folder / "ledger.sqlite"
    saved, rest = beside(path, "saved"), beside(path, "rest")
    if not (path.is_file() or saved or rest):
        msg = f"{folder}: no ledger.sqlite in it; next: give the folder of a run"
        raise UserError(msg)
    with folder_lock(folder):
        if saved:
            return _put_back(path, saved[-1], parse)
        before = _interrupted(path)
        damage = f"a run went on in {rest[0].name}" if rest else None
        damage = "an earlier repair was interrupted" if before else damage or _damage(path, parse)
        if damage is None:
            return None
        found = _replace(path, before, damage, parse, rest)
        for one in rest:
            one.replace(free(path, "merged"))
        return found


def _put_back(path: Path, saved: Path, parse: Parse) -> Repaired:
    """Puts a ledger that was saved whole in the place of what stands there, which is kept."""
    if left := _damage(saved, parse):
        msg = f"{saved}: damaged: {left}; next: choose another -o, or rename it and repair again"
        raise UserError(msg)
    with closing(connect(saved, read_only=False)) as db:
        rows = {name: (count_rows(db, name), 0) for name in ("meta", *KNOWN)}
        if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # it goes without its log
            msg = f"{saved}: another program has it open; next: close that, then the same command"
            raise UserError(msg)
    try:
        kept_as = _keep(path) if path.is_file() else None
        for side in SIDES:
            path.with_name(path.name + side).unlink(missing_ok=True)
        saved.replace(path)
        sync(path.parent)
    except OSError as error:
        msg = f"{path}: cannot be put back: {error}; all of it is in {saved.name}"
        raise UserError(msg) from None
    damage = "it was lost in the middle of a run, which saved it"
    return Repaired(damage=damage, kept_as=kept_as, rows=rows)


def _replace(
    path: Path, before: Path | None, damage: str, parse: Parse, rest: Sequence[Path]
) -> Repaired:
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        rows = remake(before or path, part, parse, rest=rest)
        if left := _damage(part, parse):
            msg = f"{path}: what could be read makes no sound ledger: {left}; it is left as it is"
            raise UserError(msg)
        kept_as = before or (_keep(path) if path.is_file() else None)
        for side in SIDES:
            path.with_name(path.name + side).unlink(missing_ok=True)
        part.replace(path)
        sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        msg = f"{path}: cannot be repaired: {error}; it is left as it is"
        raise UserError(msg) from None
    finally:
        for side in ("", ".copy", *SIDES):
            part.with_name(part.name + side).unlink(missing_ok=True)
    return Repaired(damage=damage, kept_as=kept_as, rows=rows)


def _damage(path: Path, parse: Parse) -> str | None:
    """What is wrong with a ledger, in one line; None where nothing is.

    Raises:
        UserError: a later version of distill wrote it, another program has it open, or it may not
            be opened: then nobody knows.
    """
    try:
        if is_damaged(path):
            return "its write-ahead log is damaged before its end"
        with closing(connect(path, read_only=True)) as db:
            found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
            if found != "ok":
                return " ".join(found.split())
            version = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
            if version and int(version[0]) > VERSION:
                msg = f"{path}: written by a later version of distill (ledger {version[0]})"
                raise UserError(msg)
            return _strange_table(db) or contradictions(db, parse)
    except (sqlite3.DatabaseError, ValueError, PermissionError) as error:
        if (shut := not_opened(path, error)) is not None:
            raise shut from None
        return str(error)


def _strange_table(db: sqlite3.Connection) -> str | None:
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(TABLES)
        for table in TABLES_READ:
            if not is_known(columns(db, table), columns(fresh, table)):
                return f"the columns of {table} are not those of a ledger"
    return None


def _interrupted(path: Path) -> Path | None:
    """The damaged ledger that was being replaced when a repair ended halfway."""
    kept = beside(path, "damaged") if path.exists() else []
    return next((one for one in kept if one.samefile(path)), None)


def _keep(path: Path) -> Path:
    """Gives the damaged files a second name, under which they stay."""
    place = free(path, "damaged")
    for side in (*SIDES, ""):  # the main file last: it tells that a repair was interrupted
        old, new = path.with_name(path.name + side), place.with_name(place.name + side)
        if old.exists():
            new.unlink(missing_ok=True)
            try:
                os.link(old, new)
            except OSError:  # a file system without links
                shutil.copy2(old, new)
    return place
