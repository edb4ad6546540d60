"""The strict base class of every recipe block."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A block in which an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
