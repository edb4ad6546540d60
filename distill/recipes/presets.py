"""Presets: what a vendor's endpoint needs, filled into a recipe's teacher.

A preset is a YAML file in ``prompts/teachers``, or one of the user's own. ``teacher: {at: NAME}``
takes whatever the block leaves out from it: the address, the key's variable, limits, quirks and the
price of the model. A shipped preset also ties its address to the variable whose value may be sent
there as a key (``ties``), so no other preset may have its name.
"""

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from yarl import URL

from distill.errors import UserError, nearest
from distill.recipes.find import PRESETS, names, own_file, shipped, shipped_file
from distill.recipes.places import RECIPE, Origin, missing, place
from distill.recipes.read import read_block
from distill.recipes.strict import Strict
from distill.recipes.teachers import Address, Continues, KeyName, LimitName, Peak, Price

# What a teacher takes from its preset unchanged; extra_body is merged and the price looked up.
TAKEN = ("base_url", "key_env", "concurrency", "timeout_s", "limit_name", "continues", "ignores")


class Retired(Strict):
    """A model's name that its vendor no longer accepts."""

    use: str  # its replacement
    since: date  # not "on", which is a boolean in YAML


class Prices(Strict):
    """A vendor's price list; an estimate, because the vendor's bill decides."""

    as_of: date  # when the source was read
    source: Annotated[str, Field(pattern=r"^https://")]
    peak: Peak | None = None  # of every model without its own peak
    models: dict[str, Price]  # other models have no known price


class Preset(Strict):
    """What is true of an endpoint for every model; the defaults of a teacher ``at`` it."""

    base_url: Address
    key_env: KeyName | None = None  # None: a server that asks for no key
    concurrency: Annotated[int, Field(ge=1, le=10_000)]
    timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    limit_name: LimitName = "max_tokens"
    extra_body: dict[str, Any] = {}
    continues: Continues | None = None
    ignores: tuple[str, ...] = ()
    # The field with an answer's thinking; for readers only, as replies are recognised by shape.
    reasoning: Literal["reasoning_content", "reasoning", "inline"]
    retired: dict[str, Retired] = {}
    prices: Prices | None = None

    def price(self, model: str) -> Price | None:
        """The price of that model, with its peak hours; None if unknown."""
        listed = self.prices.models.get(model) if self.prices else None
        if self.prices is None or listed is None:
            return None
        return listed.model_copy(update={"peak": listed.peak or self.prices.peak})


def fill_presets(values: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """A prompts recipe's values with its teachers' presets filled in; values in a block stay.

    Args:
        values: what was read, with every ``--set`` applied; not changed.
        origin: the recipe. Presets are also looked for beside it.

    Raises:
        UserError: no such preset, one that cannot be read or has a shipped one's name, one beside
            another address, or a model that the vendor has retired; without --set, also a price
            below that of the shipped preset for its host, or another name of the token limit.
    """
    filled = dict(values)
    if "teacher" in values:
        filled["teacher"] = _filled(values["teacher"], origin, "teacher")
    if isinstance(values.get("teachers"), list):
        blocks = enumerate(values["teachers"])
        filled["teachers"] = [_filled(block, origin, f"teachers.{i}") for i, block in blocks]
    return filled


def find_preset(name: str, key: str, origin: Origin) -> Path | None:
    """The file of a preset: ``teachers/NAME.yaml`` beside the recipe, here, or shipped; or a path.

    Only what looks like a path is one, because the working directory may well hold a file named
    like a preset, such as the program ``ollama``. None: there is no such preset.

    Raises:
        UserError: the recipe may not read it, or it has the name of a shipped one.
    """
    file = f"{name.removesuffix('.yaml')}.yaml"
    found = place(name, key, origin, RECIPE) if "/" in name or name == file else None
    if found is None and "/" not in name:
        beside = place(f"teachers/{file}", key, Origin(path=origin.path), RECIPE)
        found = beside or own_file(name, PRESETS)
    if found is None:
        return shipped_file(name, PRESETS)
    _refuse_shipped_name(found, origin.path)
    return found


def _refuse_shipped_name(found: Path, recipe: Path) -> None:
    """Raises if another preset has a shipped one's name, which decides where a key is sent."""
    for name in names(PRESETS):
        ours = shipped(PRESETS) / f"{name}.yaml"
        if found.stem.casefold() == name and not ours.samefile(found):
            msg = (
                f"{recipe}: the preset {found.resolve()} has the name of a shipped one, {ours}; "
                "rename it, and the recipe's at"
            )
            raise UserError(msg)


@cache
def ties() -> dict[tuple[str, str], str]:
    """(address, key's variable) → name of the shipped preset; no other file can tie the two."""
    found = ((name, _read_shipped(shipped(PRESETS) / f"{name}.yaml")) for name in names(PRESETS))
    return {(preset.base_url, preset.key_env): name for name, preset in found if preset.key_env}


def read_preset(path: Path) -> Preset:
    """The preset in that file, checked.

    Raises:
        UserError: unreadable YAML, an API key in it, an unknown key or a value of the wrong kind.
    """
    return read_block(path, Preset)


@cache
def _read_shipped(path: Path) -> Preset:
    """A shipped preset, read once in a process: five of them have localhost as their host."""
    return read_preset(path)


def _filled(block: Any, origin: Origin, where: str) -> Any:
    """The block with its preset; what is not a block is left for validation to refuse."""
    if not isinstance(block, dict):
        return block
    filled = _from_preset(block, origin, where)
    for preset in _at_its_host(filled.get("base_url")):
        _refuse_retired(preset, filled.get("model"), origin.path, where)
        if preset.key_env is not None:  # its vendor sends bills
            _refuse_another_limit(preset, filled, origin, where)
            _refuse_cheaper(preset, filled, origin, where)
    return filled


def _from_preset(block: dict[str, Any], origin: Origin, where: str) -> dict[str, Any]:
    path = origin.path
    if not isinstance(block.get("at"), str):
        return block
    found = find_preset(block["at"], f"{where}.at", origin)
    if found is None:
        what = f"no such preset; {nearest(block['at'], names(PRESETS))}"
        raise missing(block["at"], f"{where}.at", origin, what)
    preset = read_preset(found)
    _refuse_retired(preset, block.get("model"), path, where)
    _refuse_another_host(preset, block, path, where)
    filled = {name: getattr(preset, name) for name in TAKEN} | _price(preset, block) | block
    body = block.get("extra_body", {})
    if isinstance(body, dict):
        filled["extra_body"] = preset.extra_body | body
    return filled


def _typed(where: str, key: str) -> str:
    """What the user types to set a teacher's key; several teachers can only be set together."""
    return f"--set {where}.{key}=…" if where == "teacher" else "--set teachers=[…]"


def _refuse_another_limit(
    preset: Preset, block: dict[str, Any], origin: Origin, where: str
) -> None:
    """Raises if the token limit has a name that the vendor would ignore: budgets count on it."""
    name = block.get("limit_name", "max_tokens")
    if name != preset.limit_name and not origin.gave(f"{where}.limit_name"):
        msg = (
            f"{origin.path}: {where}.limit_name: {name!r:.40} is not what {preset.base_url} "
            f"calls it; leave it out, or, if you know better: {_typed(where, 'limit_name')}"
        )
        raise UserError(msg)


def _refuse_cheaper(preset: Preset, block: dict[str, Any], origin: Origin, where: str) -> None:
    """Raises if a recipe's price is below the vendor's list; only the user may set a lower one.

    Without the list's peak hours, the price must be at least that of the peak.
    """
    model = block.get("model")
    listed = preset.price(_listed_name(preset, model)) if isinstance(model, str) else None
    try:
        said = Price.model_validate(block.get("price"))
    except ValidationError:  # there is none, or validation of the recipe will report it
        return
    if listed is None:
        return
    factor = listed.peak.factor if listed.peak and said.peak != listed.peak else 1.0
    for part in ("input", "cached_input", "output"):
        name = "input" if getattr(said, part) is None else part
        least = factor * (listed.input if getattr(listed, part) is None else getattr(listed, part))
        found = getattr(said, name)
        if found < least and not origin.gave(f"{where}.price.{name}"):
            msg = (
                f"{origin.path}: {where}.price.{name}: {found:g} is below the {least:g} that "
                f"{model} costs at {preset.base_url}, and a budget would not hold; leave price "
                f"out, or, if you pay less: {_typed(where, f'price.{name}')}"
            )
            raise UserError(msg)


def _listed_name(preset: Preset, model: str) -> str:
    """The model's name as the list writes it, ignoring case, as some vendors do."""
    names = {name.casefold(): name for name in preset.prices.models} if preset.prices else {}
    return names.get(model.strip().casefold(), model)


def _price(preset: Preset, block: dict[str, Any]) -> dict[str, Any]:
    """The model's price as a block; none for another address, which has other prices."""
    model = block.get("model")
    if not isinstance(model, str) or "base_url" in block:
        return {}
    price = preset.price(model)
    return {} if price is None else {"price": price.model_dump()}


def _at_its_host(base_url: Any) -> Iterator[Preset]:
    """The shipped presets whose host the address has."""
    host = _host(base_url)
    for name in names(PRESETS) if host else ():
        found = shipped(PRESETS) / f"{name}.yaml"
        # most hosts have no preset, and parsing YAML takes longer than searching for a word
        if host in found.read_text(encoding="utf-8", errors="replace"):
            preset = _read_shipped(found)
            if _host(preset.base_url) == host:
                yield preset


def _host(url: Any) -> str:
    try:
        return (URL(url).raw_host or "").lower().rstrip(".") if isinstance(url, str) else ""
    except ValueError:  # not an address; validation of base_url reports it
        return ""


def _refuse_retired(preset: Preset, model: Any, path: Path, where: str) -> None:
    retired = preset.retired.get(model) if isinstance(model, str) else None
    if retired is not None:
        msg = f"{path}: {where}.model: {model!r} was retired on {retired.since}; use {retired.use}"
        raise UserError(msg)


def _refuse_another_host(preset: Preset, block: dict[str, Any], path: Path, where: str) -> None:
    """Raises if a vendor's key would go to another host; a preset without a key may be anywhere."""
    if "base_url" in block and preset.key_env is not None:
        msg = (
            f"{path}: {where}.base_url: not beside at: {block['at']}, whose key must not go to "
            "another host; leave out base_url, or leave out at and name the key's variable in "
            "key_env"
        )
        raise UserError(msg)
