"""How likely each token of a text is to a model, and how high the model ranks it.

One forward pass gives both. Logits are made in steps, because those of a whole trace would be
10 GB: 16,384 tokens of 152,000 numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MOST_RANK = 100  # a lower rank counts as this one, arXiv 2601.14249
# Tokens computed together, padding included. On a CPU each text is alone: from 256 tokens on,
# batches were no faster (374 tokens per CPU second against 367, 135M parameters), and by itself a
# text gets the same bits whatever lies beside it.
AT_ONCE = {"cpu": 1, "cuda": 16_384}
# Logits made at once: 64 tokens of 49,000 on a CPU, what its cache holds; 0.5 GB on a GPU.
_NUMBERS = {"cpu": 2**22, "cuda": 2**27}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Tokens, of which those from ``start`` on count; the others only come before them."""

    ids: Sequence[int]
    start: int  # at least 1: nothing is said of a first token


@dataclass(frozen=True, slots=True, kw_only=True)
class Surprise:
    """Sums over the tokens that count."""

    nats: float  # -ln p
    ranks: float  # 1 for the likeliest token, at most MOST_RANK; equals share the best rank


def surprises(model: Any, texts: Sequence[Text], *, at_once: int | None = None) -> list[Surprise]:
    """The surprise of each text, in the order given.

    Texts of about one length are padded on the right to a batch of at most ``at_once`` tokens
    (None: as AT_ONCE); a causal model never looks there, so no mask is needed.
    """
    found: dict[int, Surprise] = {}
    for batch in _batches(texts, at_once or AT_ONCE.get(model.device.type, AT_ONCE["cuda"])):
        found.update(_computed(model, {n: texts[n] for n in batch}))
    return [found[n] for n in range(len(texts))]


def _batches(texts: Sequence[Text], at_once: int) -> Iterator[list[int]]:
    """Places of texts from the longest down, so that too little memory shows at once."""
    batch: list[int] = []
    for n in sorted(range(len(texts)), key=lambda n: -len(texts[n].ids)):
        if batch and (len(batch) + 1) * len(texts[batch[0]].ids) > at_once:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def _computed(model: Any, texts: dict[int, Text]) -> Iterator[tuple[int, Surprise]]:
    import torch

    longest = max(len(text.ids) for text in texts.values())
    padded = [[*text.ids, *[0] * (longest - len(text.ids))] for text in texts.values()]
    ids = torch.tensor(padded, device=model.device)
    with torch.inference_mode():
        body = model.base_model(input_ids=ids, use_cache=False)
        for (n, text), own, state in zip(texts.items(), ids, body.last_hidden_state, strict=True):
            end = len(text.ids)
            yield n, _sums(model, body, state[text.start - 1 : end - 1], own[text.start : end])


def _sums(model: Any, body: Any, states: Any, tokens: Any) -> Surprise:
    """Of ``tokens``, each predicted by the state before it; ``body``: what the states come from."""
    import torch

    nats = ranks = 0.0
    size = model.config.get_text_config().vocab_size
    step = max(1, _NUMBERS.get(model.device.type, _NUMBERS["cuda"]) // size)
    for state, token in zip(states.split(step), tokens.split(step), strict=True):
        body.last_hidden_state = state[None]
        with _given(model, body):
            logits = model(inputs_embeds=state[None], use_cache=False).logits[0].float()
        own = logits.gather(1, token[:, None])
        losses = torch.nn.functional.cross_entropy(logits, token, reduction="none")
        # as 0.0 and 1.0 in place: five times as fast as a sum of true and false
        above = torch.gt(logits, own, out=logits).sum(-1)
        nats += float(losses.double().sum())
        ranks += float((above + 1).clamp(max=MOST_RANK).double().sum())
    return Surprise(nats=nats, ranks=ranks)


@contextmanager
def _given(model: Any, result: Any) -> Iterator[None]:
    """Lets the model's own ``forward`` go on from its body's result: some scale or cap logits."""
    body = model.base_model
    body.forward = lambda *_, **__: result
    try:
        yield
    finally:
        del body.forward
