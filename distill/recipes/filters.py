"""The filters recipe: rules over signals, then selection over the whole set."""

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
# Reasons that filter itself gives; a rule may not have the same name.
RESERVED = (
    *("oversized", "contaminated", "too_hard", "too_easy", "duplicate", "per_prompt", "quota"),
)


class Near(Strict):
    """When two texts are near copies."""

    jaccard: Annotated[float, Field(ge=0.5, le=1)] = 0.85  # of their sets of word n-grams
    words: Annotated[int, Field(ge=1, le=20)] = 5  # of one n-gram


class Difficulty(Strict):
    """Which prompts are worth teaching, by the share of their answers that are correct."""

    at_least: Share = 0.0
    at_most: Share = 1.0
    samples: Annotated[int, Field(ge=1)] = 2  # judged answers that a prompt needs to be classified

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least > self.at_most:
            msg = f"at_least {self.at_least} is above at_most {self.at_most}: nothing could be kept"
            raise ValueError(msg)
        return self


class PerPrompt(Strict):
    """How many answers of one prompt are kept, and which."""

    at_most: Annotated[int, Field(ge=1)]
    prefer: str | None = None  # comma-separated columns with ASC or DESC; None: as in select


class Quota(Strict):
    """How many rows of one domain are kept, in total and per source."""

    total: Count | None = None
    sources: dict[str, Count] = {}


class Select(Strict):
    """Selection that needs the whole set."""

    dedupe: Literal["exact", "near"] | None = None  # near: nearly the same text counts too
    near: Near = Near()
    prefer: str = "sample ASC"  # which of several copies or answers to keep; ties: by key
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
    """Which rows ask or repeat a question of a benchmark."""

    against: Annotated[tuple[str, ...], Field(min_length=1)]  # files, hf://… or shipped names
    words: Annotated[int, Field(ge=5, le=50)] = 13  # of a stretch that must not be shared
    # The share of a question's words and word pairs in a near copy. At 0.75, 78 of 100 altered
    # questions of GSM8K (other names and numbers) are found, at 0.8 71.
    fuzzy: Annotated[float, Field(ge=0.5, le=1)] | None = 0.75
    share: Annotated[float, Field(ge=0, le=1)] = 0.0  # of a question's words that must be found


def _own_check(name: str) -> str:
    if check_parts(name) is None:
        msg = "is not a check of your own; write it as my_check.py:grade"
        raise ValueError(msg)
    return name


# What a map may make of DATA's columns.
# fmt: off
Part = Literal[
    "id", "question", "reasoning", "response", "gold", "verify", "domain", "source",
    "finish_reason", "teacher",
]
# fmt: on


class FilterRecipe(Strict):
    """A whole filters recipe."""

    # Polars SQL over DATA's columns, for parts of a row that the columns' names do not tell
    map: dict[Part, str] = {}
    # reason → polars SQL that must be true; the first broken rule is the row's reason; null: off
    rules: dict[str, str]
    measure: tuple[str, ...] = ()  # signals to measure although no rule reads them
    tokenizer: str | None = None  # file or folder to count tokens with; None: they are estimated
    score_model: str | None = None  # the model of the signal of that name
    signals: tuple[str, ...] = ()  # your own files, beside the recipe
    # Your own checks that rows were made with, as FILE.py:FUNCTION, so that they can be repeated
    checks: tuple[Annotated[str, AfterValidator(_own_check)], ...] = ()
    decontaminate: Decontaminate | None = None
    # A run that has judged DATA's traces; it decides only rows that the rules cannot verify
    judge: str | None = None
    select: Select = Select()

    @model_serializer(mode="wrap")
    def _without_unset(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out unset keys that older results lack, so that their digests stay valid."""
        values: dict[str, Any] = whole(self)
        return {k: v for k, v in values.items() if v or k not in ("map", "signals", "checks")}

    @field_validator("rules", mode="before")
    @classmethod
    def _without_switched_off(cls, rules: Any) -> Any:
        """A rule that is null is none, so that one of a shipped recipe can be switched off."""
        if not isinstance(rules, dict):
            return rules
        return {name: sql for name, sql in rules.items() if sql is not None}

    @field_validator("rules")
    @classmethod
    def _plain_names(cls, rules: dict[str, str]) -> dict[str, str]:
        for name in rules:
            if not name.isidentifier() or name != name.lower():
                msg = f"{name!r}: a rule's name is its reason: lower-case letters, digits and _"
                raise ValueError(msg)
            if name in RESERVED:
                msg = f"{name!r}: is a reason of filter's own; rename the rule"
                raise ValueError(msg)
        return rules
