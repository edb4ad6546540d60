"""The mix recipe: the parts that make up a data set, and the answers and tokens they take.

A mix is a file ``mix.yaml`` in a folder of prompts recipes; each of its parts is one of them. The
figures are computed from the mix's own estimates alone, without reading problems or recipes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distill.errors import UserError, nearest
from distill.recipes.find import find, shipped
from distill.recipes.read import read_block
from distill.recipes.strict import Strict
from distill.recipes.teachers import Price

NAME = "mix.yaml"
MILLION = 1_000_000
Above0 = Annotated[float, Field(gt=0)]


class Part(Strict):
    """One part of a mix: how many rows are wanted, and estimates of their cost."""

    rows: Annotated[int, Field(ge=1)]
    mean_tokens: Above0  # of one answer, thinking and response
    prompt_tokens: Above0  # of one request, mean
    kept_per_answer: Annotated[float, Field(gt=0, le=1)]  # rows from one answer, mean
    kept_per_problem: Above0  # rows from all answers to one problem, mean
    problems: Annotated[int, Field(ge=1)] | None = None  # in the source; None: unknown


class MixRecipe(Strict):
    """A whole mix; a part's key is the name of a prompts recipe beside it."""

    parts: Annotated[dict[str, Part], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the rows of one part take."""

    part: str
    rows: int
    answers: int  # to ask for, including those that will not be kept
    problems: int  # with at least one answer
    available: int | None  # problems in the source; None: unknown
    prompt_tokens: int
    completion_tokens: int  # assumes that answers that are not kept are as long as the others

    @property
    def short(self) -> bool:
        """Whether the source is known to have too few problems."""
        return self.available is not None and self.problems > self.available


def read_mix(name: str) -> tuple[MixRecipe, Path]:
    """The mix of that name, checked, and its file.

    Args:
        name: a file, or a folder with a ``mix.yaml``: as a path, in ./prompts, or shipped.

    Raises:
        UserError: there is none, unreadable YAML, an API key in it, an unknown key, a value of the
            wrong kind, or a part without a recipe beside the mix.
    """
    path = _file(name)
    mix = read_block(path, MixRecipe)
    beside = sorted(p.stem for p in path.parent.glob("*.yaml") if p != path)
    for part in mix.parts:
        if part not in beside:
            msg = f"{path}: parts.{part}: no such recipe beside it; {nearest(part, beside)}"
            raise UserError(msg)
    return mix, path


def needs(mix: MixRecipe, rows: int | None = None) -> tuple[Need, ...]:
    """What each part takes, in the order of the mix.

    Args:
        mix: the parts.
        rows: of the whole set, at least 1; the parts keep their proportions. None: as in the mix.
    """
    wanted = [part.rows for part in mix.parts.values()]
    scaled = apportion(sum(wanted) if rows is None else rows, wanted)
    pairs = zip(mix.parts.items(), scaled, strict=True)
    return tuple(_need(name, part, count) for (name, part), count in pairs)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` as whole numbers in proportion to the weights, by largest remainder.

    They add up to ``total``, and each differs from its exact share by less than 1; among equal
    remainders the first one wins.

    >>> apportion(10, [1, 1, 1])
    [4, 3, 3]
    """
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    largest = sorted(range(len(weights)), key=lambda i: -remainders[i])
    for i in largest[: total - sum(shares)]:
        shares[i] += 1
    return shares


def cost_usd(price: Price, prompt_tokens: int, completion_tokens: int) -> float:
    """USD off-peak, with no prompt token from the vendor's cache."""
    return (prompt_tokens * price.input + completion_tokens * price.output) / MILLION


def hours(completion_tokens: int, *, concurrency: int, tokens_per_s: float) -> float:
    """How long the answers take, ``concurrency`` at a time, each at ``tokens_per_s``."""
    return completion_tokens / (concurrency * tokens_per_s) / 3600


def _need(name: str, part: Part, rows: int) -> Need:
    answers = _ceil(rows, part.kept_per_answer)
    return Need(
        part=name,
        rows=rows,
        answers=answers,
        problems=_ceil(rows, part.kept_per_problem),
        available=part.problems,
        prompt_tokens=round(answers * part.prompt_tokens),
        completion_tokens=round(answers * part.mean_tokens),
    )


def _ceil(rows: int, kept: float) -> int:
    """``rows / kept``, rounded up, computed with the decimal as written: 7 / 0.07 is 100."""
    return ceil(rows / Fraction(str(kept)))


def _file(name: str) -> Path:
    for folder in (Path(name), Path("prompts") / name, shipped("prompts") / name):
        if (folder / NAME).is_file():
            return folder / NAME
    return find(name, "prompts")
