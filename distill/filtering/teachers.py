"""Which of several teachers suits a student best, by their answers to the same prompts.

Rules do not count here: what a student makes of an answer does not depend on them.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.files.find import data_files
from distill.files.inputs import Data, Input, inputs_of, said
from distill.files.mapped import Mapped
from distill.files.read import frames
from distill.files.write import write_parquet
from distill.filtering import hashes
from distill.filtering.prepare import Prepared
from distill.filtering.steps import Job
from distill.filtering.stored import TEXTS
from distill.intervals import Score, bootstrap
from distill.signals import score, verdict
from distill.signals.settings import Settings
from distill.terminal.progress import progress

log = logging.getLogger("distill")
PROMPTS = 200  # of each teacher are enough to rank them, arXiv 2601.14249
FEW = 20  # below this an interval says little
NUMBERS = ("student_fit", "nll_per_token")
_AT_ONCE = 16  # answers measured between two looks at the progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """One teacher's answers to the prompts that all have answered."""

    name: str
    answers: int  # that were measured
    unscored: dict[str, int]  # reason → answers without a number
    student_fit: Score  # mean over prompts, of which each is the mean of its answers
    nll_per_token: Score
    correct: Score | None  # share of the answers that can be judged; None: there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two teachers on the same prompts: the first one's student_fit minus the second one's."""

    teachers: tuple[str, str]
    difference: Score

    @property
    def certain(self) -> bool:
        """Whether zero lies outside the interval."""
        low, high = self.difference.ci95
        return low > 0 or high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All teachers, the best first."""

    prompts: int  # that count
    shared: int  # that all of them have answered
    teachers: tuple[Teacher, ...]
    pairs: tuple[Pair, ...]

    def values(self) -> dict[str, Any]:
        """As it is written to a file."""
        pairs = [{**asdict(pair), "certain": pair.certain} for pair in self.pairs]
        return {**asdict(self), "pairs": pairs}


def shared_prompts(data: Data, mapped: Mapped | None) -> tuple[dict[str, Input], pl.Series]:
    """The teachers by name, and the ``prompt_hash`` that each of them has, in a fixed order.

    Raises:
        UserError: fewer than two inputs, one twice or without an answer, or no prompt in common.
    """
    named = _named(inputs_of(data))
    asked = {name: _asked(one, mapped) for name, one in named.items()}
    common = set.intersection(*asked.values())
    if not common:
        msg = f"{said(tuple(named.values()))}: no prompt that all have answered; "
        pairs = {(a, b): len(asked[a] & asked[b]) for a, b in combinations(asked, 2)}
        (a, b), most = max(pairs.items(), key=lambda pair: pair[1])
        msg += f"{a} and {b} share {most:,}" if most else "ask every teacher the same problems"
        raise UserError(msg)
    return named, pl.Series("prompt_hash", sorted(common), dtype=pl.UInt64)


def compare(
    named: dict[str, Input], prompts: pl.Series, ready: Prepared, *, store: Path | None
) -> Comparison:
    """Measures every answer to ``prompts``, or reads from ``store`` what it has measured before.

    Raises:
        UserError: the model cannot be loaded, or there is no prompt of which it can read an answer
            of each teacher.
    """
    answers = pl.concat([_answers(n, one, prompts, ready.mapped) for n, one in named.items()])
    table = pl.concat(list(_measured(answers, ready.job, store)))
    means = _by_prompt(table, list(named))
    if means.is_empty():
        why = dict(table["unscored"].drop_nulls().value_counts(sort=True).iter_rows())
        msg = f"{said(tuple(named.values()))}: no prompt has an answer of each with a score: {why}"
        raise UserError(msg)
    if means.height < FEW:
        log.warning("only %d prompts to compare: such intervals say little", means.height)
    made = [_teacher(name, table, means) for name in named]
    best = sorted(made, key=lambda one: (one.student_fit.value, one.name))
    fit = {name: means[f"student_fit {name}"] for name in named}
    pairs = combinations([one.name for one in best], 2)
    return Comparison(
        prompts=means.height,
        shared=len(prompts),
        teachers=tuple(best),
        pairs=tuple(
            Pair(teachers=(a, b), difference=bootstrap((fit[a] - fit[b]).to_list()))
            for a, b in pairs
        ),
    )


def _named(inputs: Sequence[Input]) -> dict[str, Input]:
    if len(inputs) < 2:
        msg = f"{said(inputs)}: one teacher alone cannot be compared; name two runs or more"
        raise UserError(msg)
    seen: dict[tuple[str, ...], Input] = {}
    for one in inputs:
        files = tuple(str(path.resolve()) for path in data_files(one.data))
        if files in seen:
            msg = f"{one}: is the same run as {seen[files]}; name each teacher's run once"
            raise UserError(msg)
        seen[files] = one
    return {one.name or str(one.data): one for one in inputs}


def _asked(one: Input, mapped: Mapped | None) -> set[int]:
    found: set[int] = set()
    for frame in frames(one.data, mapped=mapped):
        found.update(hashes.measure(frame.filter(_answered()), Settings())["prompt_hash"])
    if not found:
        msg = f"{one}: no answers in it; give a teacher's run, or a set made of one"
        raise UserError(msg)
    return found


def _answered() -> pl.Expr:
    texts = pl.concat_str(pl.col("reasoning", "response").fill_null(""))
    return texts.str.strip_chars() != ""


def _answers(name: str, one: Input, prompts: pl.Series, mapped: Mapped | None) -> pl.DataFrame:
    parts = []
    for frame in frames(one.data, mapped=mapped, silent=True):  # said by ``_asked``
        known = frame.filter(_answered())
        known = known.with_columns(hashes.measure(known, Settings())["prompt_hash"])
        parts.append(known.filter(pl.col("prompt_hash").is_in(prompts.implode())))
    return pl.concat(parts).with_columns(name=pl.lit(name))


def _measured(answers: pl.DataFrame, job: Job, store: Path | None) -> Iterator[pl.DataFrame]:
    with progress("measured", answers.height) as shown:
        for part in answers.iter_slices(_AT_ONCE):
            found = _stored(part, job, store) if store else _numbers(part, job)
            yield part.select("name", "prompt_hash").hstack(found)
            shown.advance(part.height)


def _stored(part: pl.DataFrame, job: Job, store: Path) -> pl.DataFrame:
    """The numbers of some answers, from a file that is named after all that they depend on."""
    made = [job.tags[module.__name__] for module in (score, verdict)]
    path = store / f"{fingerprint(made=made, rows=part.select(*TEXTS, 'verify').rows())}.parquet"
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):  # not there yet, or cut short by a full disk
        found = _numbers(part, job)
        write_parquet(path, found)
        return found


def _numbers(part: pl.DataFrame, job: Job) -> pl.DataFrame:
    settings = job.rules.settings
    judged = verdict.measure(part, settings).select("verdict")
    return score.measure(part, settings).hstack(judged)


def _by_prompt(table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """A line for each prompt of which every teacher has a score, "NUMBER NAME" its columns."""
    scored = table.drop_nulls(NUMBERS)
    means = scored.group_by("prompt_hash", "name").agg(pl.col(NUMBERS).mean())
    whole = [
        means.filter(pl.col("name") == name).select(
            "prompt_hash", pl.col(NUMBERS).name.suffix(f" {name}")
        )
        for name in names
    ]
    joined = whole[0]
    for more in whole[1:]:
        joined = joined.join(more, on="prompt_hash")
    return joined.sort("prompt_hash")


def _teacher(name: str, table: pl.DataFrame, means: pl.DataFrame) -> Teacher:
    own = table.filter(pl.col("name") == name)
    judged = own.filter(pl.col("verdict").is_in(("correct", "wrong", "no_answer")))
    right = judged.group_by("prompt_hash").agg(share=(pl.col("verdict") == "correct").mean())
    fit, nll = (bootstrap(means[f"{number} {name}"].to_list()) for number in NUMBERS)
    reasons = own["unscored"].drop_nulls().value_counts(sort=True).iter_rows()
    return Teacher(
        name=name,
        answers=own["student_fit"].count(),
        unscored=dict(reasons),
        student_fit=fit,
        nll_per_token=nll,
        correct=bootstrap(right.sort("prompt_hash")["share"].to_list()) if right.height else None,
    )
