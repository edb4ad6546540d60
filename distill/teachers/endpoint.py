"""Where a teacher answers. Holds the name of the key's variable, never the key."""

from dataclasses import dataclass, field
from typing import Any, Literal

from distill.recipes.teachers import Continues, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible chat API."""

    base_url: str  # ends in /v1 or whatever the vendor has before /chat/completions
    model: str
    key_env: str | None = None
    concurrency: int  # most requests in flight
    timeout_s: float  # whole request
    price: Price | None = None  # None: cost unknown
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: dict[str, Any] = field(default_factory=dict)
    continues: Continues | None = None  # how it goes on with a cut answer, if it can
    weight: float = 1.0  # its share of the requests beside others

    @property
    def name(self) -> str:
        """What the ledger calls it: address and model, no key."""
        return f"{self.base_url} {self.model}"

    @property
    def url(self) -> str:
        """Where questions go."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    @property
    def rest_url(self) -> str:
        """Where the rest of a cut answer is asked for: DeepSeek has another path for that."""
        base = self.base_url.rstrip("/")
        if self.continues != "deepseek_prefix" or base.endswith("/beta"):
            return self.url
        return f"{base.removesuffix('/v1')}/beta/chat/completions"
