"""A judge's votes on the rows of a unit, measured like a signal.

Only the votes are stored; ``apply_judge_votes`` puts them beside the rules' verdicts. So no answer
is verified again because of another judge.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from distill.files.write import write_parquet
from distill.filtering.judge.run import identity, judgements_of, run_of
from distill.filtering.judge.verdicts import ATTACHED, Judged
from distill.recipes.places import Origin
from distill.signals import COSTLY
from distill.signals.settings import Settings

FOLDER = ".judged"  # in OUT: the votes of one run, for all workers, until the result is done


@dataclass(frozen=True, slots=True)
class Judging:
    """Looks up the votes on rows; small and picklable.

    Unless ``collect`` was called it reads the judge's run itself, and writes nothing.
    """

    run: Path  # the judge's
    digest: str  # of its answers
    folder: Path  # OUT

    COLUMNS = {
        "judge_correct": pl.UInt32(),  # votes
        "judge_wrong": pl.UInt32(),
        "judge_same": pl.Boolean(),  # whether just this answer was judged; null: none of its key
        "_judged": pl.Boolean(),
    }
    VERSION = 2  # of ``said``
    COST = COSTLY

    @property
    def __name__(self) -> str:
        """Names the judgements too: votes of others do not count."""
        return f"judge-{self.digest}"

    @property
    def path(self) -> Path:
        """Where ``collect`` writes the votes."""
        return self.folder / FOLDER / f"{self.digest}.parquet"

    def collect(self) -> None:
        """Reads the judge's run, once, and writes the votes for all workers.

        Raises:
            UserError: it cannot be read, or none of its answers states a verdict.
        """
        if not self.path.is_file():
            write_parquet(self.path, judgements_of(self.run).table)

    def measure(self, frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """The votes on each row."""
        found = Judged(_votes(self)).onto(frame)
        return found.select(*ATTACHED, _judged=pl.lit(True))


@cache
def _votes(judging: Judging) -> pl.DataFrame:
    """Read once in a process; about 30 bytes an answer."""
    if judging.path.is_file():
        return pl.read_parquet(judging.path, glob=False)
    return judgements_of(judging.run).table


def judging(judge: str, origin: Origin, folder: Path) -> Judging:
    """The judge that a recipe names; nothing is written yet.

    Raises:
        UserError: it is not a run, not the recipe's to read, or its ledger cannot be read.
    """
    run = run_of(judge, origin)
    return Judging(run, identity(run), folder)
