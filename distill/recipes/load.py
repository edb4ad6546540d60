"""Loads a recipe: finds it, reads it, applies ``--set``, fills in presets and checks every key.

What a recipe points to (files, models, columns) is checked by the commands, before they start.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel

from distill.errors import UserError, nearest
from distill.recipes.filters import FilterRecipe
from distill.recipes.find import find
from distill.recipes.places import Keys, Origin
from distill.recipes.presets import fill_presets
from distill.recipes.prompts import SOURCES, PromptsRecipe
from distill.recipes.read import parse_yaml, read_mapping, validated
from distill.recipes.secrets import SECRET, refuse_secrets
from distill.recipes.students import StudentRecipe

R = TypeVar("R", bound=BaseModel)
KINDS: Mapping[type[BaseModel], str] = {
    PromptsRecipe: "prompts",
    FilterRecipe: "filters",
    StudentRecipe: "students",
}
# Choosing one with --set removes the others from the recipe.
ALTERNATIVES = (
    (("problems",), SOURCES),
    ((), ("teacher", "teachers", "serve")),
    ((), ("samples", "until")),
)
# Keys that belong to one address or model only: the API key must not go to another host, the price
# must not be used for another bill, nor one vendor's switches for another vendor. Another model
# must not keep ``known_as``; the same model at another address may.
OF_THE_HOST = ("key_env", "price", "limit_name", "extra_body", "continues", "ignores")
OF_THE_TEACHER = {
    "at": ("base_url", "known_as", *OF_THE_HOST),
    "base_url": ("at", *OF_THE_HOST),
    "model": ("price", "known_as"),
}
OF_THE_SOURCE = ("config", "split", "sha256", "where")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[R]):
    """A recipe, and the origin of its values."""

    recipe: R
    origin: Origin

    @property
    def path(self) -> Path:
        """The recipe's file, as it was found."""
        return self.origin.path


def load(name: str, model: type[R], overrides: Sequence[str] = ()) -> Loaded[R]:
    """The recipe of that name, checked, with ``--set key.path=value`` overrides applied.

    Raises:
        UserError: unreadable YAML, an API key in it, an unknown key or a value of the wrong kind; a
            teacher's preset that does not exist or that the recipe may not use, or a model that
            its vendor has retired.
    """
    path = find(name, KINDS[model])
    values = read_mapping(path)
    for override in overrides:  # before any is applied, so that values from other --set stay
        _drop_stale(values, _keys(override), _value(override))
    for override in overrides:
        _apply(values, override)
    refuse_secrets(values, path)
    origin = Origin(path=path, given=_given(values, overrides))
    if model is PromptsRecipe:
        values = fill_presets(values, origin)
    return Loaded(recipe=validated(values, model, path), origin=origin)


def _given(values: dict[str, Any], overrides: Sequence[str]) -> frozenset[Keys]:
    """The keys of every single value that came from an override; presets are not filled in yet."""
    given: set[Keys] = set()
    for override in overrides:
        keys = _keys(override)
        block: Any = values
        for key in keys:
            block = block.get(key) if isinstance(block, dict) else None
        given.update((*keys, *inner) for inner in _leaves(block))
    return frozenset(given)


def _leaves(value: Any) -> Iterator[Keys]:
    """The path of keys to each plain value inside; for a plain value the empty path."""
    if not isinstance(value, (dict, list)):
        yield ()
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from ((str(key), *keys) for keys in _leaves(inner))


def _keys(override: str) -> list[str]:
    return override.partition("=")[0].strip().split(".")


_TEXT = re.compile(r"'(?:[^']|'')*'")


def _value(override: str) -> Any:
    name, _, text = override.partition("=")
    if _TEXT.fullmatch(text.strip()) and name.strip().startswith("map."):
        return text.strip()  # SQL for a text of its own, whose quotes YAML would take away
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, RecursionError):
        return text


def _drop_stale(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Removes what the recipe says about the teacher or source that ``keys`` will replace."""
    block = values.get(keys[0])
    if len(keys) == 1 or not isinstance(block, dict):
        return
    stale: tuple[str, ...] = ()
    if keys[0] == "teacher":
        stale = OF_THE_TEACHER.get(keys[1], ())
    elif keys[0] != "problems" or value is None:  # null does not choose another source
        return
    elif keys[1] in SOURCES and block.get(keys[1]) is None:
        # a file of the same data set has the same columns, and its questions keep their ids
        same_set = keys[1] == "file" and block.get("dataset") is not None
        stale = OF_THE_SOURCE if same_set else (*OF_THE_SOURCE, "source", "map")
    for name in stale:
        block.pop(name, None)


def _apply(values: dict[str, Any], override: str) -> None:
    dotted, equals, _ = override.partition("=")
    *parents, last = keys = _keys(override)
    if not equals or not all(keys):
        shown = "…" if SECRET.search(override) else override
        msg = f"--set {shown}: write it as key.path=value"
        raise UserError(msg)
    value = _value(override)
    if value is None and parents == ["rules"] and last not in (values.get("rules") or {}):
        msg = f"--set {override}: no such rule; {nearest(last, values.get('rules') or {})}"
        raise UserError(msg)
    if value is not None:  # null chooses nothing
        _drop_alternatives(values, keys)
    block = values
    for depth, key in enumerate(parents):
        if block.get(key) is None:
            block[key] = {}
        inner = block[key]
        if not isinstance(inner, dict):
            msg = f"--set {dotted}: {'.'.join(keys[: depth + 1])} is a value, not a block"
            raise UserError(msg)
        block = inner
    block[last] = value


def _drop_alternatives(values: dict[str, Any], keys: list[str]) -> None:
    for parents, choices in ALTERNATIVES:
        depth = len(parents)
        if tuple(keys[:depth]) != parents or len(keys) == depth or keys[depth] not in choices:
            continue
        block: Any = values
        for key in parents:
            block = block.get(key)
        if not isinstance(block, dict):
            continue
        for name in choices:
            if name != keys[depth]:
                block.pop(name, None)
