"""Says what of other people's files is read as what, and which rows could not be read.

A line for each different set of columns, and at the end one for each thing that is missing.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distill.errors import UserError
from distill.files.beside import COLUMNS, Beside
from distill.files.beside import NOTHING as NO_MORE
from distill.files.columns import Columns, columns_of
from distill.files.mapped import Mapped
from distill.files.talk import turns_of
from distill.files.values import is_printed, opened
from distill.rows import Row

log = logging.getLogger("distill")
THOUGHT_ONLY = "have a thought and no response"
NOTHING = "have neither a thought nor a response"
NO_TURNS = "hold no turns of a conversation that could be read"
NO_QUESTION = "have no question, and train leaves those out"
NO_GOLD = "have a reference that is not one text or number, and was left out"
LEFT_OUT = "and of these only texts are read (distill train on this file leaves them out)"
LOST = {
    "tools": f"call tools, answer them or offer them, {LEFT_OUT}",
    "media": f"hold images, sound or files, {LEFT_OUT}",
    "weight": "have a weight for training, which is not read (distill train on this file reads it)",
}


@dataclass
class Reading:
    """One reading of DATA, of one file or many."""

    mapped: Mapped | None = None
    silent: bool = False
    beside: bool = False  # whether to read what ``files.beside`` does
    told: set[str] = field(default_factory=set)
    missing: dict[str, Counter[str]] = field(default_factory=dict)  # what, and how often per file
    rows: Counter[str] = field(default_factory=Counter)  # of each file
    samples: dict[str | None, Counter[str]] = field(default_factory=dict)  # answers of a question

    def numbers(self, name: str | None) -> Counter[str]:
        """How often the input of that name has answered each question so far."""
        return self.samples.setdefault(name, Counter())

    def columns(self, lines: Sequence[dict[str, Any]], path: str) -> Columns:
        """The columns of some lines; says so once.

        Raises:
            UserError: as in ``columns_of``, or they are Python's lists as text, which is not JSON.
        """
        given = self.mapped.given if self.mapped else {}
        used = self.mapped.used if self.mapped else set()
        found = columns_of(lines, path, given, used)
        _refuse_printed(lines, found, path)
        filled = (name for line in lines for name, value in line.items() if value is not None)
        used = {*used, *COLUMNS} if self.beside else used
        said = found.said(name for name in dict.fromkeys(filled) if name not in used)
        if said not in self.told and not self.silent:
            self.told.add(said)
            log.info("%s: reads %s", path, said)
        return found

    def count(self, line: dict[str, Any], rows: Sequence[Row], columns: Columns, path: str) -> None:
        """Counts what a line's rows lack."""
        self.rows[path] += len(rows)
        for row in rows:
            if not row.response:
                self._note(THOUGHT_ONLY if row.reasoning else NOTHING, path)
        value = line.get(columns.talk) if columns.talk else None
        asked = any(row.messages for row in rows)
        if value and (columns.question or not asked) and not turns_of(value):
            self._note(NO_TURNS, path)
        elif not asked and any(row.response for row in rows):
            self._note(NO_QUESTION, path)
        if columns.gold and line.get(columns.gold) and not any(row.gold for row in rows):
            self._note(NO_GOLD, path)

    def lose(self, stands: str, path: str) -> None:
        """Counts what stands beside a line's texts and is not read."""
        found = Beside.read(stands)
        weighs = replace(found, thoughts=()) != NO_MORE
        what = found.holds if found.holds in LOST else "weight" if weighs else None
        if what is not None:
            self._note(LOST[what], path)

    def _note(self, what: str, path: str) -> None:
        self.missing.setdefault(what, Counter())[path] += 1

    def say(self) -> None:
        """Says what was missing, if anything was."""
        if self.silent:
            return
        for what, files in self.missing.items():
            log.warning("%d rows %s; the first in %s", files.total(), what, next(iter(files)))
        self._say_part("response", THOUGHT_ONLY, NOTHING)
        self._say_part("question", NO_QUESTION)

    def _say_part(self, part: str, *whats: str) -> None:
        """Says which files lack a part in every row, and how to name it."""
        lacking = sum((self.missing.get(what, Counter()) for what in whats), Counter[str]())
        for path in (path for path, count in lacking.items() if count == self.rows[path]):
            log.warning(
                "%s: no row of it has a %s; if a column holds it: --set map.%s=COLUMN",
                path,
                part,
                part,
            )


def _refuse_printed(lines: Sequence[dict[str, Any]], columns: Columns, path: str) -> None:
    apart = columns.question and columns.response  # then no conversation is needed
    for name in filter(None, (None if apart else columns.talk, *columns.many)):
        values = [line[name] for line in lines if line.get(name)]
        lists = any(isinstance(opened(value), (list, dict)) for value in values)
        if not lists and any(map(is_printed, values)):
            msg = (
                f"{path}: {name}: is a list as Python prints it, not JSON; next: write the file as "
                "JSON lines, or the column with json.dumps"
            )
            raise UserError(msg)
