"""The strict base class of every recipe block."""

from collections.abc import Hashable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Strict(BaseModel):
    """A block in which an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes, no, on and off as true and false, and pydantic true as 1."""
        field = cls.model_fields[info.field_name or ""]
        inner = value.values() if isinstance(value, dict) else [value]
        inner = value if isinstance(value, list) else inner
        if any(isinstance(each, bool) for each in inner) and _of_numbers(field.annotation):
            msg = "is a truth value (as yes, no, on and off are in YAML); write a number"
            raise ValueError(msg)
        return value


def _of_numbers(annotation: Any) -> bool:
    """Whether a type has numbers in it and nothing that may be true or false."""
    types = {each for each in _types(annotation) if isinstance(each, Hashable)}
    return bool(types & {int, float}) and not types & {bool, Any}


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)
