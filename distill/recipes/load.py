"""Finds a recipe, reads its YAML, applies ``--set``, and says every mistake in one line.

Does not check what a recipe points to (files, models, columns): the commands do, before they start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from distill.errors import UserError, nearest
from distill.recipes.filters import FilterRecipe
from distill.recipes.prompts import SOURCES, PromptsRecipe
from distill.recipes.students import StudentRecipe

R = TypeVar("R", bound=BaseModel)
KINDS: Mapping[type[BaseModel], str] = {
    PromptsRecipe: "prompts",
    FilterRecipe: "filters",
    StudentRecipe: "students",
}
# Choosing one by --set takes the others out of the recipe.
ALTERNATIVES = ((("problems",), SOURCES), ((), ("teacher", "serve")))
# What a recipe says of one address or model and not of another: its key must not go to another
# host, nor its price into another bill.
OF_THE_TEACHER = {"base_url": ("key_env", "price"), "model": ("price",)}
OF_THE_SOURCE = ("config", "split", "sha256", "where")
# Vendors' key shapes, in the syntax that Python's and polars' engines share. An unbroken run of 16
# is asked for, so that a long plain name with hyphens or underscores is not taken for a key.
SECRET = re.compile(
    r"\b(?:sk-|sk_|csk-|hf_|gsk_|fw_|r8_|xai-|nvapi-|AIza|AKIA|ghp_|github_pat_|tgp_|Bearer\s+)"
    r"[A-Za-z0-9._-]*[A-Za-z0-9]{16,}"
)
SECRET_KEYS = ("api_key", "apikey", "key", "token", "authorization", "password", "secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[R]):
    """A recipe and the file that it came from (its neighbours are found beside it)."""

    recipe: R
    path: Path


def shipped(kind: str) -> Path:
    """The folder of the recipes that come with distill: in the wheel, or in the checkout."""
    package = Path(__file__).parent.parent
    wheel = package / "data" / kind
    return wheel if wheel.is_dir() else package.parent / kind


def find(name: str, kind: str, suffix: str = ".yaml") -> Path:
    """The file meant by ``name``: a path as given, then ./<kind>/<name>, then the shipped one.

    Raises:
        UserError: no such file; the text offers the nearest shipped name.
    """
    plain = name.removesuffix(suffix)
    places = (Path(name), Path(kind) / f"{plain}{suffix}", shipped(kind) / f"{plain}{suffix}")
    for place in places:
        if place.is_file():
            return place
    root = shipped(kind)
    known = [p.relative_to(root).with_suffix("").as_posix() for p in root.rglob(f"*{suffix}")]
    msg = f"{name}: no such recipe in {kind}/; {nearest(plain, known)}"
    raise UserError(msg)


def load(name: str, model: type[R], overrides: Sequence[str] = ()) -> Loaded[R]:
    """The recipe of that name, checked, with ``--set key.path=value`` overrides applied.

    Raises:
        UserError: unreadable YAML, a key inside, an unknown key or a value of the wrong kind.
    """
    path = find(name, KINDS[model])
    values = _read(path)
    for override in overrides:  # before any is applied: what another --set gives stays
        _drop_stale(values, _keys(override))
    for override in overrides:
        _apply(values, override)
    _refuse_secrets(values, path)
    try:
        return Loaded(recipe=model.model_validate(values), path=path)
    except ValidationError as error:
        msg = f"{path}: {_one_line(error, model)}"
        raise UserError(msg) from None


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (no expansion bombs), without repeated keys, with 1e-4 a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                value.to_bytes(8, "big", signed=True)
            return value
        # 2024-13-45, !!bool x, !!timestamp x, more than 64 bits
        except (ValueError, LookupError, AttributeError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            problem = f"looks like a value of kind {kind} and is none; quote it to make it text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be plain text", problem_mark=key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key_node.value!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str) -> Any:
    """One YAML document, by the rules of recipes (no aliases, no repeated keys)."""
    return yaml.load(text, Loader=_Loader)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"
        raise UserError(msg) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        parts = (getattr(error, name, None) for name in ("context", "problem"))
        msg = f"{where}: not a recipe: {', '.join(filter(None, parts)) or 'unreadable YAML'}"
        raise UserError(msg) from None
    except RecursionError:
        msg = f"{path}: not a recipe: nested too deeply"
        raise UserError(msg) from None
    if not isinstance(values, dict):
        msg = f"{path}: a recipe is a mapping of keys to values; found {type(values).__name__}"
        raise UserError(msg)
    return values


def _keys(override: str) -> list[str]:
    return override.partition("=")[0].strip().split(".")


def _drop_stale(values: dict[str, Any], keys: list[str]) -> None:
    """Takes out what the recipe says of the teacher or source that ``keys`` is about to replace."""
    block = values.get(keys[0])
    if len(keys) == 1 or not isinstance(block, dict):
        return
    stale: tuple[str, ...] = ()
    if keys[0] == "teacher":
        stale = OF_THE_TEACHER.get(keys[1], ())
    elif keys[0] == "problems" and keys[1] in SOURCES and block.get(keys[1]) is None:
        # a data set's own file has its columns, and its questions keep their ids
        same_set = keys[1] == "file" and block.get("dataset") is not None
        stale = OF_THE_SOURCE if same_set else (*OF_THE_SOURCE, "source", "map")
    for name in stale:
        block.pop(name, None)


def _apply(values: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    *parents, last = keys = _keys(override)
    if not equals or not all(keys):
        shown = "…" if SECRET.search(override) else override
        msg = f"--set {shown}: write it as key.path=value"
        raise UserError(msg)
    try:
        value = parse_yaml(text)
    except (yaml.YAMLError, RecursionError):
        value = text
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


def _refuse_secrets(values: Any, path: Path, at: str = "") -> None:
    if isinstance(values, dict):
        for key, value in values.items():
            if SECRET.search(str(key)):
                raise _secret(path, f"a key of {at}" if at else "a key")
            inner = f"{at}.{key}" if at else str(key)
            if str(key).lower() in SECRET_KEYS and isinstance(value, str):
                raise _secret(path, inner)
            _refuse_secrets(value, path, inner)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            _refuse_secrets(value, path, f"{at}[{i}]")
    elif isinstance(values, str) and SECRET.search(values):
        raise _secret(path, at)


def _secret(path: Path, at: str) -> UserError:
    return UserError(
        f"{path}: {_flat(at)}: looks like an API key; recipes are shared, so name the environment "
        "variable that holds it instead, e.g. key_env: DEEPSEEK_API_KEY"
    )


def _one_line(error: ValidationError, model: type[BaseModel]) -> str:
    errors = error.errors()
    # an unknown key is nearly always the cause of whatever else is wrong
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    loc = tuple(part for part in first["loc"] if part != "[key]")
    at = _flat(".".join(str(part) for part in loc))
    if first["type"] == "extra_forbidden":
        return f"{at}: no such key; {nearest(str(loc[-1]), _keys_at(model, loc[:-1]))}{more}"
    if first["type"] == "missing":
        return f"{at}: missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    # key_env is where a pasted key is most likely: never echo it
    if at.endswith("key_env"):
        return f"{at}: must be the NAME of an environment variable, e.g. DEEPSEEK_API_KEY{more}"
    prefix = f"{at}:{_shown(first['input'])} " if at else ""
    return f"{prefix}{message[0].lower() + message[1:]}{more}"


def _shown(value: object) -> str:
    """A short value after a space; nothing for a block or for user:password@host."""
    if not isinstance(value, (str, int, float)) or "@" in str(value):
        return ""
    return f" {value!r:.80}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _keys_at(model: type[BaseModel], loc: Iterable[int | str]) -> list[str]:
    """The keys that the block at ``loc`` may have; those of the deepest model on the way."""
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
