"""The filters recipe: rules over signals, then selection over the whole set. Does not decide."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from distill.recipes.code import check_parts
from distill.recipes.strict import Strict
from distill.rows import Domain

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# What filter itself says of a row; a rule of that name could not be told apart.
RESERVED = (
    "oversized",
    "contaminated",
    "too_hard",
    "too_easy",
    "duplicate",
    "per_prompt",
    "quota",
)


class Near(Strict):
    """When two texts are near copies."""

    jaccard: Annotated[float, Field(ge=0.5, le=1)] = 0.85  # of their sets of word n-grams
    words: Annotated[int, Field(ge=1, le=20)] = 5  # of one n-gram


class Difficulty(Strict):
    """Which prompts are worth teaching, by the share of their answers that are correct."""

    at_least: Share = 0.0
    at_most: Share = 1.0
    samples: Annotated[int, Field(ge=1)] = 2  # judged answers that a prompt must have to be sorted

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least > self.at_most:
            msg = f"at_least {self.at_least} is above at_most {self.at_most}: nothing could be kept"
            raise ValueError(msg)
        return self


class PerPrompt(Strict):
    """How many answers of one prompt are kept, and which."""

    at_most: Annotated[int, Field(ge=1)]
    prefer: str | None = None  # comma-separated columns with ASC or DESC; else that of select


class Quota(Strict):
    """How many rows of one domain are kept, in all and from some of its sources."""

    total: Count | None = None
    sources: dict[str, Count] = {}


class Select(Strict):
    """What only the whole set can decide."""

    dedupe: Literal["exact", "near"] | None = None  # near: also what is nearly the same text
    near: Near = Near()
    prefer: str = "sample ASC"  # whom to keep of copies and of a prompt; ties go to the key
    difficulty: Difficulty | None = None
    per_prompt: PerPrompt | None = None
    quota: dict[Domain, Quota] = {}  # rows drawn by a hash of the key; a number is the total
    shuffle: bool = False  # final order by a hash of the key

    @field_validator("quota", mode="before")
    @classmethod
    def _totals(cls, quota: Any) -> Any:
        if not isinstance(quota, dict):
            return quota
        number = (int, float, str)
        return {k: {"total": v} if isinstance(v, number) else v for k, v in quota.items()}


class Decontaminate(Strict):
    """Which rows ask, or spell out, what a benchmark asks."""

    against: Annotated[tuple[str, ...], Field(min_length=1)]  # files, hf://… or shipped names
    words: Annotated[int, Field(ge=5, le=50)] = 13  # of a stretch that must not be shared
    # How much of a question's words and word pairs a near copy has. At 0.75 altered questions of
    # GSM8K (other names and numbers) are found in 78 of 100 cases, at 0.8 in 71.
    fuzzy: Annotated[float, Field(ge=0.5, le=1)] | None = 0.75
    share: Annotated[float, Field(ge=0, le=1)] = 0.0  # of a question's words that must be met


def _own_check(name: str) -> str:
    if check_parts(name) is None:
        msg = "is no check of your own; write it as my_check.py:grade"
        raise ValueError(msg)
    return name


class FilterRecipe(Strict):
    """A whole filters recipe."""

    rules: dict[
        str, str
    ]  # reason → polars SQL that must be true; the first broken one is the reason
    measure: tuple[str, ...] = ()  # signals to measure although no rule reads them
    tokenizer: str | None = None  # file or folder to count tokens with; else they are estimated
    score_model: str | None = None  # what the signal of that name asks
    signals: tuple[str, ...] = ()  # files of your own, beside the recipe
    # Where rows were made with checks of your own: FILE.py:FUNCTION, so that they can be checked
    checks: tuple[Annotated[str, AfterValidator(_own_check)], ...] = ()
    decontaminate: Decontaminate | None = None
    # A run whose problems are DATA's traces: its word where rules say unverifiable, and only there
    judge: str | None = None
    select: Select = Select()

    @model_serializer(mode="wrap")
    def _without_unset(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Results of recipes without code of one's own are known by what they always said."""
        said: dict[str, Any] = whole(self)
        return {k: v for k, v in said.items() if v or k not in ("signals", "checks")}

    @field_validator("rules")
    @classmethod
    def _plain_names(cls, rules: dict[str, str]) -> dict[str, str]:
        for name in rules:
            if not name.isidentifier() or name != name.lower():
                msg = f"{name!r}: a rule's name is its reason: lower-case letters, digits and _"
                raise ValueError(msg)
            if name in RESERVED:
                msg = f"{name!r}: is a reason that filter itself gives; rename the rule"
                raise ValueError(msg)
        return rules
