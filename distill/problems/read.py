"""The problem set of a recipe: its digest at once, its problems when they are read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import polars as pl

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.problems.columns import asked, columns_needed
from distill.problems.draw import drawn, say_few
from distill.problems.golds import checkable
from distill.problems.left_out import Note, Tally
from distill.problems.questions import refuse_repeated_ids, usable
from distill.problems.rounds import place_of, rounds
from distill.problems.sources import Source, source_of
from distill.recipes.load import Loaded
from distill.recipes.prompts import Problems, PromptsRecipe
from distill.rows import PROBLEM_SCHEMA, Problem
from distill.verify.isolation import JAILED, Isolation
from distill.verify.own import Checks, digests

# Part of every digest: raised when the same source makes other problems than before, also because
# another reference answer can be checked.
VERSION = 3
TABLE = 10_000  # rows of one table: a few megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """The problems of a recipe, not read yet."""

    digest: str  # 16 hex digits; the same ones mean the same problems
    where: str  # the recipe's path
    read: Callable[[Tally], Iterator[pl.DataFrame]]

    def tables(self, *, note: Note | None = None) -> Iterator[pl.DataFrame]:
        """Tables with exactly PROBLEM_SCHEMA, in the order of the source, each id once.

        At most TABLE questions are one table; traces come in as many as they are read in. What is
        left out is logged at the end, a line for each reason.

        Args:
            note: is called with each problem that is left out, in no particular order; with
                ``sample``, only with those that were looked at.

        Raises:
            UserError: the source is empty, not as recorded, or lacks a column; an id repeats; SQL
                fails on a value; no usable problem is left.
        """
        tally, count = Tally(self.where, note), 0
        try:
            for table in self.read(tally):
                if not table.is_empty():
                    count += table.height
                    yield table
        finally:
            tally.say()
        if not count:
            msg = f"{self.where}: problems: no usable problem is left"
            raise UserError(msg)

    def first(self, limit: int | None = None) -> Iterator[Problem]:
        """The first problems of the set; all of them without a limit. Raises as ``tables``."""
        rows = (row for table in self.tables() for row in table.iter_rows(named=True))
        return (Problem(**row) for row in islice(rows, limit))


def problem_set(
    loaded: Loaded[PromptsRecipe], *, isolation: Isolation = JAILED, checks: Checks = ()
) -> ProblemSet:
    """The problem set of a recipe; reads what identifies its source, and no problem.

    References that are programs are run once, when the problems are read, as ``isolation`` says,
    and those of generated problems are put to their scorer.

    ``checks`` are the user's own, by which golds are judged. The digest covers the source's
    content, the recipe's ``problems`` with ``domain`` and ``verify``, these checks, and this code's
    version; not the path of a file, so a set may move.

    Raises:
        UserError: the source is missing or unknown, or the recipe's SQL is none.
    """
    recipe, where = loaded.recipe, str(loaded.path)
    spec = recipe.problems
    if spec.traces is not None:
        data, identity = place_of(spec, loaded.origin)
        read = partial(rounds, loaded, data, isolation=isolation, checks=checks)
    else:
        wanted = columns_needed(spec, where)
        source = source_of(spec, loaded.origin, isolation=isolation)
        identity = source.identity
        read = partial(_problems, loaded, source, wanted, isolation=isolation, checks=checks)
    digest = fingerprint(
        version=VERSION,
        source=identity,
        problems=spec.model_dump(mode="json", exclude={"file", "traces"}),
        domain=recipe.domain,
        verify=recipe.kind,
        own_verify=recipe.becomes is not None,
        checked=spec.traces is not None and recipe.until is not None,
        **({"checks": digests(checks)} if checks else {}),
    )
    return ProblemSet(digest=digest, where=where, read=read)


def read_problems(loaded: Loaded[PromptsRecipe]) -> list[Problem]:
    """All problems of a recipe.

    Raises:
        UserError: as ``problem_set`` and ``ProblemSet.tables``.
    """
    return list(problem_set(loaded).first())


def _problems(
    loaded: Loaded[PromptsRecipe],
    source: Source,
    wanted: Sequence[str] | None,
    tally: Tally,
    *,
    isolation: Isolation,
    checks: Checks,
) -> Iterator[pl.DataFrame]:
    recipe, where = loaded.recipe, str(loaded.path)
    spec, checked = recipe.problems, recipe.verify is not None
    content = source.read(wanted)
    if not content.rows:
        msg = f"{where}: problems: {source.name} is empty"
        raise UserError(msg)
    table = asked(spec, content, where, source.name, checked=checked)
    _check_recorded(spec, table, where)
    name = spec.source or source.name
    rows = usable(table, name, tally, checked=checked)
    refuse_repeated_ids(rows["id"], where)
    said = {"domain": recipe.domain, "source": name, "verify": recipe.kind, "fields": None}
    rows = rows.with_columns(pl.lit(value, pl.String).alias(key) for key, value in said.items())
    right = partial(checkable, tally=tally, isolation=isolation, checks=checks)
    for part in _checked(rows, spec, right, where):
        yield part.select(PROBLEM_SCHEMA.names())


def _checked(
    rows: pl.DataFrame,
    spec: Problems,
    right: Callable[[pl.DataFrame], pl.DataFrame],
    where: str,
) -> Iterator[pl.DataFrame]:
    """The rows that are asked, each gold checked once and none before it is needed."""
    check = (lambda part: part) if spec.keep_uncheckable else right
    if spec.sample is None:
        yield from map(check, rows.iter_slices(TABLE))
        return
    sample = drawn(rows, "key", count=spec.sample, seed=spec.seed, check=check)
    say_few(sample.height, spec.sample, where)
    yield from sample.iter_slices(TABLE)


def _check_recorded(spec: Problems, table: pl.DataFrame, where: str) -> None:
    if spec.sha256 is None:
        return
    made = fingerprint(rows=table.select("question", "gold").rows())
    if made != spec.sha256:
        msg = (
            f"{where}: problems.sha256: the source now makes another set ({made}, recorded "
            f"{spec.sha256}); pin its version, or record the new one"
        )
        raise UserError(msg)
