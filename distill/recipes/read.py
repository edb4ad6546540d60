"""Reads the YAML of a recipe strictly, and validates it."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from distill.errors import UserError
from distill.recipes.mistakes import one_line
from distill.recipes.secrets import refuse_secrets

B = TypeVar("B", bound=BaseModel)


LARGEST = 1 << 20  # bytes of a recipe; the largest shipped one has 6,000
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_ODD = re.compile(r".*:|[-+]?0[0-9_]+$")  # of base 60 (a time) or 8 (a number with leading zeros)


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (no expansion bombs) or repeated keys, with 1e-4 as a number.

    Numbers that only YAML 1.1 knows (1:30 is 90, 017 is 15) are refused.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and _ODD.match(node.value):
            problem = f"{node.value} is no plain number; write it as one, or quote it as text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                value.to_bytes(8, "big", signed=True)
            if isinstance(value, str):  # JSON's halves of one character become it
                value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            return value
        # 2024-13-45, !!bool x, !!timestamp x, more than 64 bits
        except (ValueError, LookupError, AttributeError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            problem = f"looks like a value of kind {kind} but is not; quote it to make it text"
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


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a recipe.

    Raises:
        UserError: unreadable, too large, not UTF-8, not YAML by these rules, or not a mapping; with
            the line's number.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            msg = f"{path}: not a recipe: has more than {LARGEST:,} bytes; name data as a file"
            raise UserError(msg)
        values = parse_yaml(content.decode("utf-8-sig"))
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise UserError(msg) from None
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


def read_block(path: Path, model: type[B]) -> B:
    """The file as a ``model``.

    Raises:
        UserError: as ``read_mapping`` and ``validated``, or there is an API key in it.
    """
    values = read_mapping(path)
    refuse_secrets(values, path)
    return validated(values, model, path)


def validated(values: dict[str, Any], model: type[B], path: Path) -> B:
    """The values as a ``model``.

    Raises:
        UserError: an unknown key or a value of the wrong kind; in one line that names ``path``.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        msg = f"{path}: {one_line(error, model)}"
        raise UserError(msg) from None
