"""What is done with every unit: signals and rules, in the order in which they are tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from distill.filtering import hashes, stored
from distill.filtering.benchmarks import CONTAMINATED, Contamination
from distill.filtering.copies import Sketch
from distill.filtering.judge.verdicts import apply_judge_votes
from distill.filtering.judge.votes import Judging
from distill.filtering.rules import Rule, Rules
from distill.signals import COSTLY, MODULES, Signal, verdict
from distill.signals.own import OwnSignal

Step = Signal | Rule
OVERSIZED = Rule("oversized", f"text_bytes <= {hashes.LARGEST}", ("text_bytes",))


@dataclass(frozen=True)
class Job:
    """What a recipe asks of every unit. Picklable; some megabytes with benchmarks."""

    folder: Path  # OUT
    rules: Rules
    needed: tuple[str, ...]  # columns that selection looks at
    all_signals: bool = False
    contamination: Contamination | None = None
    judging: Judging | None = None
    sketch: Sketch | None = None
    files: Mapping[str, str] = field(default_factory=dict)  # digests of what settings name
    own: tuple[OwnSignal, ...] = ()  # signals of the recipe's own

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All that there are for this recipe: ours, then its own."""
        return (*MODULES, *self.own)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Cheap signals first, then the rules, each after the costly signals that it needs.

        Benchmark questions are looked for before the first costly signal, near copies last.
        """
        return _steps(self)

    @cached_property
    def measured(self) -> tuple[Signal, ...]:
        """What may be stored: what the steps measure, then all other signals."""
        done = tuple(step for step in self.steps if not isinstance(step, Rule))
        return (*done, *(signal for signal in self.signals if signal not in done))

    @cached_property
    def tags(self) -> dict[str, str]:
        """What the stored values of each of ``measured`` depend on beside the row."""
        return stored.tags(self.measured, self.rules.settings, self.files)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: the steps are modules, which cannot be pickled."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def _steps(job: Job) -> tuple[Step, ...]:
    wanted = [m for m in job.signals if job.all_signals or set(job.rules.needed) & set(m.COLUMNS)]
    early = [m for m in wanted if job.all_signals or m.COST < COSTLY]
    late = [m for m in wanted if m not in early]
    checks: list[Step] = [job.contamination, CONTAMINATED] if job.contamination else []
    made: list[Step] = [hashes, OVERSIZED, *early]
    for rule in job.rules.rules:
        new = [m for m in late if set(rule.columns) & set(m.COLUMNS)]
        if new:
            made += checks
            checks = []
        late = [m for m in late if m not in new]
        made += [*new, rule]
    made += [*checks, *late]
    if job.judging and verdict in made:  # its votes beside what the rules say
        made.insert(made.index(verdict) + 1, job.judging)
    return (*made, job.sketch) if job.sketch else tuple(made)


def shown(table: pl.DataFrame, job: Job) -> pl.DataFrame:
    """The values of ``table`` that this job asked for, and ``reason``.

    Left out are columns of no step and, of costly ones, values of rows that were dropped before:
    an earlier job may have stored them. So the result does not depend on what was stored.
    """
    table = apply_judge_votes(table)
    gone: list[str] = []
    columns = []
    for step in job.steps:
        if isinstance(step, Rule):
            gone += [step.name, f"{step.name}_unknown"]
            continue
        reached = pl.col("reason").is_null() | ~pl.col("reason").is_in(gone)
        hides = step.COST >= COSTLY and not job.all_signals
        for name in visible(step):
            value = pl.col(name) if name in table.columns else pl.lit(None, step.COLUMNS[name])
            columns.append((pl.when(reached).then(value) if hides else value).alias(name))
    return table.select(*columns, "reason")


def visible(step: Signal) -> list[str]:
    """The columns of a signal that a person may want to see."""
    own = step.__name__ == hashes.__name__
    return [name for name in step.COLUMNS if not own and not name.startswith("_")]
