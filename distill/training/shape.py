"""A decoder's sizes, as its config.json gives them, and the parameters that follow from them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

# Decoders of attention and a gated MLP. Others (experts, state spaces) are not estimated.
KNOWN = frozenset(
    (
        *("llama", "mistral", "ministral", "smollm3", "qwen2", "qwen3", "phi3", "granite"),
        *("gemma", "gemma2", "gemma3_text", "olmo2", "olmo3", "cohere", "cohere2", "seed_oss"),
    )
)
BIASED = frozenset(("qwen2",))  # a bias at q, k and v, whatever its config says


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths of a decoder; all in elements."""

    layers: int
    hidden: int
    heads: int
    query: int  # heads x their size
    key: int  # key-value heads x their size
    inner: int  # of the MLP
    vocab: int
    tied: bool  # whether the head is the embedding
    biased: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """The shape in a config.json; None for a kind of model that is not KNOWN."""
        told = config.get("text_config") or config
        kind = str(told.get("model_type") or config.get("model_type"))
        try:
            hidden, heads = int(told["hidden_size"]), int(told["num_attention_heads"])
            size = int(told.get("head_dim") or hidden // heads)
            pairs = int(told.get("num_key_value_heads") or heads)
            found = cls(
                layers=int(told["num_hidden_layers"]),
                hidden=hidden,
                heads=heads,
                query=heads * size,
                key=pairs * size,
                inner=int(told["intermediate_size"]),
                vocab=int(told["vocab_size"]),
                tied=bool(told.get("tie_word_embeddings", kind.startswith("gemma"))),
                biased=kind in BIASED or bool(told.get("attention_bias")),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
        return found if kind in KNOWN else None

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """The shape of the model in a folder; None if it cannot be told."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls.of(config) if isinstance(config, dict) else None

    @property
    def linears(self) -> Mapping[str, tuple[int, int]]:
        """Inputs and outputs of the matrices of one layer."""
        return {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.key),
            "v_proj": (self.hidden, self.key),
            "o_proj": (self.query, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def matrices(self) -> int:
        """Parameters of all layers' matrices."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears.values())

    @property
    def table(self) -> int:
        """Parameters of the embedding, and of the head if it is another."""
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        bias = self.layers * (self.query + 2 * self.key) if self.biased else 0
        norms = (2 * self.layers + 1) * self.hidden
        return self.matrices + (1 if self.tied else 2) * self.table + bias + norms

    def adapter(self, rank: int, targets: Iterable[str] | None = None) -> int:
        """Parameters of a LoRA adapter of that rank; ``targets`` None: at all matrices."""
        names = self.adapted(targets)
        return self.layers * rank * sum(sum(self.linears[name]) for name in names)

    def adapted(self, targets: Iterable[str] | None) -> tuple[str, ...]:
        """The matrices of a layer that have an adapter."""
        if targets is None:
            return tuple(self.linears)
        wanted = set(targets)
        return tuple(name for name in self.linears if name in wanted)
