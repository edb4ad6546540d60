"""What the data set of a mix takes: rows, answers, tokens, money and hours; asks nothing.

Rests on the mix's own numbers and on the presets' price tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from distill.errors import UserError, nearest
from distill.generating.forecast import TOKENS_PER_S
from distill.recipes.find import PRESETS, names
from distill.recipes.mix import MILLION, Need, cost_usd, hours, needs, read_mix
from distill.recipes.places import Origin
from distill.recipes.presets import Preset, find_preset, read_preset
from distill.recipes.teachers import Price
from distill.terminal.screen import Column, Sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A teacher that could be asked: a preset and one of the models in its price table."""

    preset: str
    model: str | None  # None: any, the preset has no prices
    price: Price | None
    as_of: date | None
    concurrency: int


def estimate(
    mix: str,
    *,
    at: Sequence[str],
    concurrency: int | None,
    tokens_per_s: float | None,
    rows: int | None,
) -> tuple[Sheet | str, ...]:
    """Two tables and notes below them: the parts of the mix, and the teachers that could be asked.

    The arguments are those of ``distill.plan``.

    Raises:
        UserError: no such mix or preset, or one that cannot be read.
    """
    recipe, path = read_mix(mix)
    found = needs(recipe, rows)
    offers = [offer for name in at or _priced(path) for offer in _offers(name, path)]
    speed = TOKENS_PER_S if tokens_per_s is None else tokens_per_s
    tables = (_parts(found), _teachers(found, offers, concurrency, speed))
    return (*tables, *_notes(found, offers, speed))


def _priced(mix: Path) -> list[str]:
    """The shipped presets that have a price table."""
    return [name for name in names(PRESETS) if _preset(name, mix).prices is not None]


def _offers(name: str, mix: Path) -> Iterator[Offer]:
    preset = _preset(name, mix)
    prices = preset.prices
    if prices is None:
        yield Offer(preset=name, model=None, price=None, as_of=None, concurrency=preset.concurrency)
        return
    for model in prices.models:
        yield Offer(
            preset=name,
            model=model,
            price=preset.price(model),
            as_of=prices.as_of,
            concurrency=preset.concurrency,
        )


def _preset(name: str, mix: Path) -> Preset:
    said = Origin(path=mix, given=frozenset({("--at",)}))  # the user's own word
    found = find_preset(name, "--at", said)
    if found is None:
        msg = f"--at {name:.80}: no such preset; {nearest(name, names(PRESETS))}"
        raise UserError(msg)
    return read_preset(found)


def _parts(found: Sequence[Need]) -> Sheet:
    titles = ("rows", "answers", "problems", "prompt\nM tokens", "answer\nM tokens")
    parts = [
        (need.part, *map(_count, (need.rows, need.answers, need.problems)), *_millions(need))
        for need in found
    ]
    rows, answers = sum(n.rows for n in found), sum(n.answers for n in found)
    problems = sum(n.problems for n in found)
    whole = ("all", *map(_count, (rows, answers, problems)), *_millions(*found))
    columns = [Column(title="part"), *map(_number, titles)]
    return Sheet(title="what it takes", columns=columns, sections=[parts, [whole]])


def _number(title: str) -> Column:
    return Column(title=title, right=True, wraps=False)


def _teachers(
    found: Sequence[Need], offers: Sequence[Offer], concurrency: int | None, tokens_per_s: float
) -> Sheet:
    titles = ("USD\noff-peak", "USD\nat peak", "in\nflight", "hours")
    answered = sum(need.completion_tokens for need in found)
    rows = []
    for offer in offers:
        flying = concurrency or offer.concurrency
        took = hours(answered, concurrency=flying, tokens_per_s=tokens_per_s)
        who = (offer.preset, offer.model or "any")
        rows.append((*who, *_cost(offer.price, found), _count(flying), f"{took:,.1f}"))
    columns = [Column(title="at", wraps=False), Column(title="model"), *map(_number, titles)]
    return Sheet(title="what it costs", columns=columns, sections=[rows])


def _cost(price: Price | None, found: Sequence[Need]) -> tuple[str, str]:
    """Off-peak and at peak."""
    if price is None:
        return "unknown", "unknown"
    prompt, answered = _tokens(found)
    usd = cost_usd(price, prompt, answered)
    peak = usd * price.peak.factor if price.peak else None
    return f"{usd:,.2f}", "-" if peak is None else f"{peak:,.2f}"


def _tokens(found: Sequence[Need]) -> tuple[int, int]:
    return sum(n.prompt_tokens for n in found), sum(n.completion_tokens for n in found)


def _millions(*found: Need) -> list[str]:
    return [f"{tokens / MILLION:,.1f}" for tokens in _tokens(found)]


def _count(number: int) -> str:
    return f"{number:,}"


def _notes(found: Sequence[Need], offers: Sequence[Offer], tokens_per_s: float) -> Iterator[str]:
    for need in found:
        if need.short:
            yield (
                f"Short: {need.part} takes {need.problems:,} problems and its source has "
                f"{need.available:,}; it needs another source, or more answers of each problem."
            )
    yield (
        f"Assumed: {tokens_per_s:g} tokens a second for each answer in flight (--tokens-per-s); "
        "answers that are not kept are as long as those that are; no prompt comes from a cache. "
        "The mix says where its other numbers come from."
    )
    if dates := {offer.preset: offer.as_of for offer in offers if offer.as_of}:
        listed = ", ".join(f"{preset} {as_of}" for preset, as_of in dates.items())
        yield f"Prices as published: {listed}. The bill is what the vendor says."
