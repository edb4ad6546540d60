"""The spending cap: the worst case of a request is set aside before it is sent."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from distill.errors import BudgetReached
from distill.recipes.teachers import Price
from distill.teachers.wire import Reply

MILLION = 1_000_000
TURN_TOKENS = 16  # what a chat template adds to a turn; Qwen2.5 and Llama-3 add 5 and 4
# What a chat template puts before the turns: Qwen2.5's and SmolLM2's own system prompts are about
# 20 tokens, gpt-oss's 70, SmolLM3's and Mistral Small's some hundreds.
SYSTEM_TOKENS = 1_024


def most_prompt_tokens(turns: Iterable[Mapping[str, Any]]) -> int:
    """An upper bound: byte-level tokenizers make no more tokens than there are bytes.

    ``turns`` are the messages of a chat request; their texts may be under any name.
    """
    each = [
        TURN_TOKENS + sum(len(v.encode("utf-8", "replace")) for v in turn.values() if _text(v))
        for turn in turns
    ]
    return SYSTEM_TOKENS + sum(each) if each else 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def cost_usd(price: Price | None, reply: Reply, *, began: float, ended: float) -> float | None:
    """What an answer cost by the price table; None where that, or a count, is not known.

    ``began`` and ``ended`` are Unix seconds: if either lies in peak hours, those are charged.
    """
    if price is None or reply.prompt_tokens is None or reply.completion_tokens is None:
        return None
    cached = min(reply.cached_tokens or 0, reply.prompt_tokens)
    cheap = price.input if price.cached_input is None else price.cached_input
    peak = price.peak
    factor = peak.factor if peak and (peak.covers(began) or peak.covers(ended)) else 1.0
    tokens_usd = (
        cached * cheap
        + (reply.prompt_tokens - cached) * price.input
        + reply.completion_tokens * price.output
    )
    return factor * tokens_usd / MILLION


def worst_usd(price: Price | None, turns: Iterable[Mapping[str, Any]], max_tokens: int) -> float:
    """The most that one request can cost, at any hour; 0 without a price."""
    if price is None:
        return 0.0
    factor = price.peak.factor if price.peak else 1.0
    dearest = max(price.input, price.cached_input or 0.0)
    tokens_usd = most_prompt_tokens(turns) * dearest + max_tokens * price.output
    return factor * tokens_usd / MILLION


class Budget:
    """What is left of a cap. ``spent_usd`` and ``reserved_usd`` never exceed it together."""

    def __init__(self, *, cap_usd: float | None, spent_usd: float) -> None:
        self.cap_usd = cap_usd
        self.spent_usd = spent_usd
        self.reserved_usd = 0.0
        self._under_way = 0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Sets the worst case of one try aside; waits while others' may still turn out cheaper.

        Raises:
            BudgetReached: nothing is under way and it does not fit any more.
        """
        while self.cap_usd is not None and self._short(usd):
            if not self._under_way:
                raise BudgetReached(self._text(usd))
            self._settled.clear()
            await self._settled.wait()
        self._under_way += 1
        self.reserved_usd += usd

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """Gives the reservation back and books what was paid: no more, where there is a price."""
        self._under_way -= 1
        # with nothing under way nothing is reserved; adding and subtracting floats would leave dust
        self.reserved_usd = self.reserved_usd - reserved_usd if self._under_way else 0.0
        self.spent_usd += paid_usd
        self._settled.set()

    def _short(self, usd: float) -> bool:
        return self.cap_usd is not None and self.spent_usd + self.reserved_usd + usd > self.cap_usd

    def _text(self, usd: float) -> str:
        return (
            f"budget of ${self.cap_usd or 0:,.2f} reached: ${self.spent_usd:,.4f} spent, and the "
            f"next request may cost ${usd:,.4f}; raise --budget-usd to go on"
        )
