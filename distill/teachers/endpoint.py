"""Where a teacher answers. Holds the name of the key's variable, never the key."""

from dataclasses import dataclass

from distill.recipes.prompts import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible chat API."""

    base_url: str  # ends in /v1 or whatever the vendor has before /chat/completions
    model: str
    key_env: str | None = None
    concurrency: int  # requests in flight
    timeout_s: float  # whole request
    price: Price | None = None  # None: cost unknown
