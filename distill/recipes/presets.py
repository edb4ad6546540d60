"""Presets: what a vendor's endpoint needs, filled into a recipe's teacher. Asks no endpoint.

A preset is a YAML file in ``prompts/teachers``, or one of the user's own. ``teacher: {at: NAME}``
takes from it whatever the block leaves out: the address, the variable of the key, limits, quirks
and the price of the model.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from distill.errors import UserError, nearest
from distill.recipes.find import PRESETS, names, shipped
from distill.recipes.mistakes import one_line
from distill.recipes.read import read_mapping
from distill.recipes.secrets import refuse_secrets
from distill.recipes.strict import Strict
from distill.recipes.teachers import Address, Continues, KeyName, LimitName, Peak, Price

# What a teacher takes from its preset as it is; extra_body is merged and the price looked up.
TAKEN = ("base_url", "key_env", "concurrency", "timeout_s", "limit_name", "continues", "ignores")


class Retired(Strict):
    """A model's name that its vendor no longer answers to."""

    use: str  # what took its place
    since: date  # "on" would be a switch in YAML


class Prices(Strict):
    """A vendor's list of prices; an estimate, for the bill is what the vendor says."""

    as_of: date  # when the source was read
    source: Annotated[str, Field(pattern=r"^https://")]
    peak: Peak | None = None  # of every model that has no peak of its own
    models: dict[str, Price]  # a model that is not in it has no known price


class Preset(Strict):
    """What is true of an endpoint whatever the model; the defaults of a teacher ``at`` it."""

    base_url: Address
    key_env: KeyName | None = None  # None: a server that asks for no key
    concurrency: Annotated[int, Field(ge=1, le=10_000)]
    timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    limit_name: LimitName = "max_tokens"
    extra_body: dict[str, Any] = {}
    continues: Continues | None = None
    ignores: tuple[str, ...] = ()
    # Where an answer's thinking comes in. For the reader: replies are recognised by their shape.
    reasoning: Literal["reasoning_content", "reasoning", "inline"]
    retired: dict[str, Retired] = {}
    prices: Prices | None = None

    def price(self, model: str) -> Price | None:
        """The price of that model, with the hours in which it is higher; None if unknown."""
        listed = self.prices.models.get(model) if self.prices else None
        if self.prices is None or listed is None:
            return None
        return listed.model_copy(update={"peak": listed.peak or self.prices.peak})


def fill_presets(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """A prompts recipe's values with its teachers' presets filled in; what a block says stays.

    Args:
        values: what was read, with every ``--set`` applied; not changed.
        path: the recipe's file. Presets are also looked for beside it.

    Raises:
        UserError: no such preset, a preset that cannot be read, one with an address of its own
            beside another, or a model that the vendor has retired.
    """
    filled = dict(values)
    if "teacher" in values:
        filled["teacher"] = _filled(values["teacher"], path, "teacher")
    if isinstance(values.get("teachers"), list):
        blocks = enumerate(values["teachers"])
        filled["teachers"] = [_filled(block, path, f"teachers.{i}") for i, block in blocks]
    return filled


def find_preset(name: str, recipe: Path) -> Path | None:
    """The file of a preset: a path, ``teachers/NAME.yaml`` beside the recipe, here, or shipped.

    Only what looks like a path is one: a file named like a preset (the program ``ollama``, say)
    may well lie in the folder from which one starts. None: there is no such preset.
    """
    file = f"{name.removesuffix('.yaml')}.yaml"
    places = [recipe.parent / "teachers" / file, Path(PRESETS) / file, shipped(PRESETS) / file]
    if "/" in name or name == file:
        places = [Path(name), recipe.parent / name, *places]
    return next((place for place in places if place.is_file()), None)


def read_preset(path: Path) -> Preset:
    """The preset in that file, checked.

    Raises:
        UserError: unreadable YAML, a key inside, an unknown key or a value of the wrong kind.
    """
    values = read_mapping(path)
    refuse_secrets(values, path)
    try:
        return Preset.model_validate(values)
    except ValidationError as error:
        msg = f"{path}: {one_line(error, Preset)}"
        raise UserError(msg) from None


def _filled(block: Any, path: Path, where: str) -> Any:
    """The block as it is to be checked; what is no block is left for the check to refuse."""
    if not isinstance(block, dict):
        return block
    if block.get("at") is None:
        for preset in _at_its_host(block.get("base_url"), path):
            _refuse_retired(preset, block.get("model"), path, where)
        return block
    if not isinstance(block["at"], str):
        return block
    preset = _named(block["at"], path, where)
    _refuse_retired(preset, block.get("model"), path, where)
    _refuse_another_host(preset, block, path, where)
    filled = {name: getattr(preset, name) for name in TAKEN} | _price(preset, block) | block
    body = block.get("extra_body", {})
    if isinstance(body, dict):
        filled["extra_body"] = preset.extra_body | body
    return filled


def _price(preset: Preset, block: dict[str, Any]) -> dict[str, Any]:
    """The model's price as a block; none for another address, whose bill is not the vendor's."""
    model = block.get("model")
    if not isinstance(model, str) or "base_url" in block:
        return {}
    price = preset.price(model)
    return {} if price is None else {"price": price.model_dump()}


def _named(name: str, path: Path, where: str) -> Preset:
    try:
        found = find_preset(name, path)
    except OSError:  # a name that no file can have
        found = None
    if found is None:
        msg = f"{path}: {where}.at: {name!r:.80}: no such preset; {nearest(name, names(PRESETS))}"
        raise UserError(msg)
    return read_preset(found)


def _at_its_host(base_url: Any, path: Path) -> Iterator[Preset]:
    """The presets of the host that a block without a preset names."""
    host = _host(base_url)
    for name in names(PRESETS) if host else ():
        found = find_preset(name, path)
        # most hosts are no preset's, and reading YAML takes longer than looking for a word
        if found is not None and host in found.read_text(encoding="utf-8", errors="replace"):
            preset = read_preset(found)
            if _host(preset.base_url) == host:
                yield preset


def _host(url: Any) -> str:
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:  # no address at all; the check of base_url says so
        return ""


def _refuse_retired(preset: Preset, model: Any, path: Path, where: str) -> None:
    retired = preset.retired.get(model) if isinstance(model, str) else None
    if retired is not None:
        msg = f"{path}: {where}.model: {model!r} was retired on {retired.since}; use {retired.use}"
        raise UserError(msg)


def _refuse_another_host(preset: Preset, block: dict[str, Any], path: Path, where: str) -> None:
    """A server of one's own may be anywhere; a vendor's key goes to the vendor."""
    if "base_url" in block and preset.key_env is not None:
        msg = (
            f"{path}: {where}.base_url: not beside at: {block['at']}, whose key must not go to "
            "another host; leave out base_url, or leave out at and name the key's variable in "
            "key_env"
        )
        raise UserError(msg)
