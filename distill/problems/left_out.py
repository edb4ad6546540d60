"""What is left out of a problem set, and why."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

log = logging.getLogger("distill")

# What the log says of each reason.
WORDS = {
    "no_question": "no question",
    "no_gold": "no reference answer",
    "no_check": "nothing to check an answer by, and answers are asked for until some are right",
    "golds_contradict": "their reference answers contradict each other",
    "repeated_question": "the same question is in the set before them",
}
PLACEHOLDER = "placeholder_gold"  # see ``placeholders``
UNCHECKABLE = "uncheckable_gold:"  # and then the check's own label/method
EXAMPLES = 3  # golds that a warning shows
SHOWN = 60  # characters of each
SEVERAL = 8  # different golds that stand for none


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One problem of the source that is not asked."""

    id: str | None  # None: the source gives none, and there is no question to derive it from
    question: str | None
    gold: str | None
    reason: (
        str  # a key of WORDS, PLACEHOLDER, or e.g. "uncheckable_gold:unverifiable/unreadable_gold"
    )


Note = Callable[[LeftOut], object]


class Tally:
    """Counts what one reading leaves out, and passes each on to ``note``."""

    def __init__(self, where: str, note: Note | None = None) -> None:
        self._where = where  # the recipe's path
        self._note = note
        self._counts: Counter[str] = Counter()
        self._examples: list[LeftOut] = []  # of golds that are not right by their own check
        self._missing: Counter[str] = Counter()  # golds that stand for none

    def only(self, table: pl.DataFrame, good: pl.Expr, reason: str) -> pl.DataFrame:
        """The rows where ``good`` is true; the others, null included, are left out."""
        kept = table.filter(good)
        if kept.height < table.height:
            self.leave(table.remove(good).with_columns(reason=pl.lit(reason)))
        return kept

    def leave(self, rows: pl.DataFrame) -> None:
        """Leaves out rows with id, question, gold and reason."""
        self._counts.update(dict(rows["reason"].value_counts().iter_rows()))
        missing = rows.filter(pl.col("reason") == PLACEHOLDER)
        self._missing.update(dict(missing["gold"].value_counts().iter_rows()))
        odd = rows.filter(pl.col("reason").str.starts_with(UNCHECKABLE))
        told = rows if self._note else odd.head(EXAMPLES)
        for values in told.select("id", "question", "gold", "reason").iter_rows(named=True):
            one = LeftOut(**values)
            if self._note:
                self._note(one)
            if one.reason.startswith(UNCHECKABLE) and len(self._examples) < EXAMPLES:
                self._examples.append(one)

    def say(self) -> None:
        """Logs one line for each reason; all uncheckable golds are one."""
        for reason, words in WORDS.items():
            if count := self._counts[reason]:
                log.warning("%s: %d problems left out: %s", self._where, count, words)
        if self._missing:
            self._say_missing()
        if self._examples:
            self._say_uncheckable()

    def _say_missing(self) -> None:
        named = [f"{count} {gold!r:.{SHOWN}}" for gold, count in self._missing.most_common(SEVERAL)]
        log.warning(
            "%s: %d problems are not asked: their reference answers stand for none: %s%s; "
            "problems.keep_uncheckable: true asks them too",
            self._where,
            self._missing.total(),
            ", ".join(named),
            ", …" if len(self._missing) > SEVERAL else "",
        )

    def _say_uncheckable(self) -> None:
        counts = {
            reason.removeprefix(UNCHECKABLE): count
            for reason, count in self._counts.most_common()
            if reason.startswith(UNCHECKABLE)
        }
        log.warning(
            "%s: %d problems left out: their reference answers are not right by their own check, "
            "so no answer could be: %s; such as %s; problems.keep_uncheckable: true asks them too",
            self._where,
            sum(counts.values()),
            ", ".join(f"{count} {how}" for how, count in counts.items()),
            ", ".join(f"{one.gold!r:.{SHOWN}} of {one.id}" for one in self._examples),
        )
