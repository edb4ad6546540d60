"""The filters recipe: rules over signals, then selection over the whole set. Does not decide."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from distill.recipes.strict import Strict
from distill.rows import Domain


class PerPrompt(Strict):
    """How many answers of one prompt are kept, and which."""

    at_most: Annotated[int, Field(ge=1)]
    prefer: str = "sample ASC"  # comma-separated columns with ASC or DESC; ties go to the sample


class Select(Strict):
    """What only the whole set can decide."""

    dedupe: Literal["exact"] | None = None  # same question and same answer text, NFC-normalised
    per_prompt: PerPrompt | None = None
    quota: dict[Domain, Annotated[int, Field(ge=0)]] = {}  # rows a domain, drawn by hash


class FilterRecipe(Strict):
    """A whole filters recipe."""

    rules: dict[
        str, str
    ]  # reason → polars SQL that must be true; the first broken one is the reason
    measure: tuple[str, ...] = ()  # signals to measure although no rule reads them
    select: Select = Select()

    @field_validator("rules")
    @classmethod
    def _plain_names(cls, rules: dict[str, str]) -> dict[str, str]:
        for name in rules:
            if not name.isidentifier() or name != name.lower():
                msg = f"{name!r}: a rule's name is its reason: lower-case letters, digits and _"
                raise ValueError(msg)
        return rules
