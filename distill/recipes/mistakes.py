"""Turns pydantic's errors about a recipe into one line for the user."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from distill.errors import nearest


def one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The wrong key, its value, why, and the nearest valid one; of several, the likely cause."""
    errors = error.errors()
    # an unknown key is nearly always the cause of the other mistakes
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    loc = tuple(part for part in first["loc"] if part != "[key]")
    at = flat(".".join(str(part) for part in loc))
    if first["type"] == "extra_forbidden":
        return f"{at}: no such key; {nearest(str(loc[-1]), _keys_at(model, loc[:-1]))}{more}"
    if first["type"] == "missing":
        return f"{at}: missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    # a pasted key is most likely in key_env: never echo it
    if at.endswith("key_env"):
        return f"{at}: must be the NAME of an environment variable, e.g. DEEPSEEK_API_KEY{more}"
    if isinstance(first["input"], bool) and first["type"] == "string_type":
        message += "; YAML reads yes, no, on and off as truth values: quote them"
    prefix = f"{at}:{_shown(first['input'])} " if at else ""
    return f"{prefix}{message[0].lower() + message[1:]}{more}"


def _shown(value: object) -> str:
    """A space and a short value; "" for a block, user:password@host or an address with ?key."""
    if not isinstance(value, (str, int, float)) or re.search(r"@|://.*[?#]", str(value)):
        return ""
    return f" {value!r:.80}"


def flat(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def _keys_at(model: type[BaseModel], loc: Iterable[int | str]) -> list[str]:
    """The keys that the block at ``loc`` may have, or those of the nearest block above it."""
    found = model
    for part in loc:
        field = found.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        found = inner or found
    return list(found.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (inner := _model_in(argument)) is not None:
            return inner
    return None
