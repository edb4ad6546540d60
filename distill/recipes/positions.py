"""A student's context length, where the base's own is too short for long thoughts."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from distill.recipes.strict import Strict

Positive = Annotated[float, Field(gt=0)]
Length = Annotated[int, Field(ge=1)]  # tokens
# What each way of scaling needs and may have besides ``factor``: transformers 5.24,
# modeling_rope_utils.py. ``dynamic`` and ``longrope`` are left out: the first turns a position by
# the longest row of its batch, the second needs factors found by a search.
NEEDED = {"linear": (), "yarn": (), "llama3": ("low_freq_factor", "high_freq_factor")}
POSSIBLE = {
    "linear": (),
    "yarn": ("original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"),
    "llama3": ("original_max_position_embeddings", *NEEDED["llama3"]),
}


class RopeScaling(Strict):
    """How rotary positions beyond the base's own are squeezed into those it knows."""

    rope_type: Literal["linear", "yarn", "llama3"]
    factor: Annotated[float, Field(ge=1)]  # new length through old length
    original_max_position_embeddings: Length | None = None  # None: the base's own
    attention_factor: Positive | None = None
    beta_fast: Positive | None = None
    beta_slow: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        given = set(self.model_dump(exclude_none=True)) - {"rope_type", "factor"}
        if lacks := [name for name in NEEDED[self.rope_type] if name not in given]:
            msg = f"rope_type {self.rope_type} needs {' and '.join(lacks)}"
            raise ValueError(msg)
        if foreign := sorted(given - {*POSSIBLE[self.rope_type]}):
            msg = f"rope_type {self.rope_type} has no {' or '.join(foreign)}; leave it out"
            raise ValueError(msg)
        return self


class Positions(Strict):
    """Changes to the base's config; what is None stays as it is there."""

    max_position_embeddings: Length | None = None
    rope_theta: Positive | None = None  # base of the rotary frequencies, e.g. 300000
    rope_scaling: RopeScaling | None = None
