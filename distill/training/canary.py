"""Refuses a training whose attention leaks: between documents of a batch, or from the future.

Such a training has a lovely loss. It is tried on the real model, in its number format, with real
tokens, in the batch that the trainer itself would make of them.
"""

from collections.abc import Sequence
from typing import Any

from distill.errors import UserError
from distill.training.store import Store

SIZES = (48, 24, 36)  # tokens of the documents that are tried
# The most that logits may differ, as a share of how much they vary. Measured with SmolLM2-135M and
# Qwen2.5-0.5B: rounding gives 1e-6 in float32 and 0.02 in bfloat16; documents that see each other,
# and tokens that see the next one, 0.2 and more.
EXACT, ROUNDED = 1e-3, 0.08


def refuse_leaks(trainer: Any, store: Store, *, said: str) -> None:
    """Compares documents in one batch with each apart, and with the end of one changed.

    A model that is not on its device yet (FSDP, DeepSpeed) is not tried.

    Raises:
        UserError: the logits differ by more than rounding.
    """
    model = trainer.model
    if model.device.type != trainer.args.device.type:
        return
    documents = _documents(store)
    between, future = leaks(trainer, documents)
    most = ROUNDED if _rounds(trainer) else EXACT
    for found, what in ((between, "documents of a batch see each other"), (future, "a token sees")):
        if not found <= most:
            msg = (
                f"attention: {said}: {what}{' what comes after it' if what[0] == 'a' else ''}: "
                f"logits differ by {found:.2g}, rounding by at most {most:g}; next: "
                "sft.model_init_kwargs: {attn_implementation: sdpa}"
            )
            raise UserError(msg)


def leaks(trainer: Any, documents: Sequence[Sequence[int]]) -> tuple[float, float]:
    """How much documents see of each other, and tokens of what comes after them: 0 is not at all.

    Both are differences of logits, as a share of the logits' standard deviation.
    """
    import torch

    training = trainer.model.training
    trainer.model.eval()
    with torch.no_grad(), trainer.compute_loss_context_manager():
        together = _logits(trainer, documents)
        apart = [_plain(trainer, one) for one in documents]
        middle = len(documents[1]) // 2
        other = [*documents[1][:middle], *documents[0][middle : len(documents[1])]]
        changed = _logits(trainer, [documents[0], other, documents[2]])
    trainer.model.train(training)
    before = [together[0], together[1][:middle], together[2]]
    after = [changed[0], changed[1][:middle], changed[2]]
    return _differ(together, apart), _differ(after, before)


def _differ(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """The worst document's; nan if there is one in the logits."""
    shares = [(one - two).std() / two.std() for one, two in zip(found, wanted, strict=True)]
    return max(float(share) if share == share else float("inf") for share in shares)


def _logits(trainer: Any, documents: Sequence[Sequence[int]]) -> list[Any]:
    """Each document's logits, from one batch of the trainer's."""
    batch = trainer.data_collator([{"input_ids": [*one], "labels": [*one]} for one in documents])
    batch = trainer._prepare_inputs(dict(batch))
    batch.pop("labels")
    logits = trainer.model(**batch, use_cache=False).logits.float()
    if len(logits) == len(documents):  # padded
        return [line[: len(one)] for line, one in zip(logits, documents, strict=True)]
    return list(logits[0, : sum(map(len, documents))].split([len(one) for one in documents]))


def _plain(trainer: Any, document: Sequence[int]) -> Any:
    import torch

    ids = torch.tensor([document], device=trainer.model.device)
    return trainer.model(input_ids=ids, use_cache=False).logits[0].float()


def _documents(store: Store) -> list[list[int]]:
    rows = store.dataset()
    picked = [rows[number % len(rows)]["input_ids"] for number in range(len(SIZES))]
    return [one[-size:] for one, size in zip(picked, SIZES, strict=True)]


def _rounds(trainer: Any) -> bool:
    import torch

    half = trainer.model.dtype in (torch.bfloat16, torch.float16)
    quick = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return bool(half or quick or trainer.args.bf16 or trainer.args.fp16)
