"""trl's SFTTrainer with our rows, our order of them, and a loss that costs less on a CPU."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from distill.training.loss import add_head_loss, projects_here
from distill.training.packing import Order, Packed
from distill.training.tokens import MASKED

if TYPE_CHECKING:
    from trl import SFTTrainer as Trainer
else:
    Trainer = object  # trl is only imported where it is needed


class Lean(Trainer):  # type: ignore[misc]
    """A trainer's first base, before trl's SFTTrainer."""

    data_collator: Any
    _signature_columns: Any

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.data_collator = Joined(self.data_collator)
        self.projects_here = projects_here(self)
        if self.projects_here:
            add_head_loss(_with_head(self.model))

    def train(self, *args: Any, **given: Any) -> Any:
        """As trl, without needless copies of what goes into adapters."""
        with _uncast(self):
            return super().train(*args, **given)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "weights" not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, "weights"]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if isinstance(rows, Packed):
            return Order(rows.bins, seed=self.args.seed)
        return super()._get_train_sampler(train_dataset)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
        if not batch_samples or "weights" not in batch_samples[0]:
            return super()._get_num_items_in_batch(batch_samples, device)
        total = sum(weight_of(batch) for batch in batch_samples).to(device)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return total

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The weighted mean of -log p over the trained tokens of a step; trl's, without weights."""
        weights = inputs.pop("weights", None)
        if return_outputs or not (self.projects_here or weights is not None):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        weights = inputs["labels"].ne(MASKED).float() if weights is None else weights
        total = num_items_in_batch
        if total is None:
            total = weight_of({**inputs, "weights": weights})
        elif self.args.average_tokens_across_devices:
            weights = weights * self.accelerator.num_processes  # which DDP divides by
        shares = weights / (total.clamp(min=1e-30) if hasattr(total, "clamp") else total)
        inputs["use_cache"] = False
        if self.projects_here:
            loss = model(**inputs, shares=shares)
        else:
            loss = self._weighted(model, inputs, shares[:, 1:], whole_step=num_items_in_batch)
        self._count(inputs)
        return loss

    def _weighted(self, model: Any, inputs: Any, shares: Any, *, whole_step: Any) -> Any:
        """The loss as trl computes it (1.16 sft_trainer.py:1610-1630), each token by its share."""
        if self.aux_loss_enabled:  # of a mixture of experts
            inputs["output_router_logits"] = True
        found = model(**inputs, fused_lm_head=True)
        each = found.log_probs  # 0 where it is masked
        if self.args.loss_type == "dft":
            each = each * each.exp().detach()
        loss = -(each * shares).sum()
        if self.aux_loss_enabled:
            parts = 1 if whole_step is None else self.current_gradient_accumulation_steps
            loss = loss + self.router_aux_loss_coef * found.aux_loss / parts
        return loss

    def _count(self, inputs: Mapping[str, Any]) -> None:
        """The tokens so far, as trl counts them."""
        if self.model.training:
            mask = inputs.get("attention_mask")
            seen = inputs["input_ids"].new_tensor(inputs["input_ids"].numel())
            seen = seen if mask is None else mask.sum()
            self._total_train_tokens += self.accelerator.gather_for_metrics(seen).sum().item()
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


@cache
def trainer_class() -> Any:
    """The class, made here so that trl is imported by those who train."""
    from trl import SFTTrainer

    return type("LeanTrainer", (Lean, SFTTrainer), {})


class Joined:
    """trl's collator for rows and for bins of rows; with the weights of tokens, if any."""

    def __init__(self, collator: Any) -> None:
        """``collator`` is trl's, with or without padding."""
        self.collator = collator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.collator, name)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One batch."""
        rows = [one for row in rows for one in _examples(row)]
        batch: dict[str, Any] = self.collator(rows)
        if "weights" in rows[0]:
            batch["weights"] = self._weights(rows, batch["labels"])
        return batch

    def _weights(self, rows: Sequence[Mapping[str, Any]], labels: Any) -> Any:
        import torch

        given = [
            torch.as_tensor(row["weights"], dtype=torch.float32).expand(len(row["input_ids"]))
            for row in rows
        ]
        weights = torch.zeros(labels.shape)
        if self.collator.padding_free:
            whole = torch.cat(given)
            weights[0, : len(whole)] = whole
        else:
            for line, one in zip(weights, given, strict=True):
                line[: len(one)] = one
        return weights * labels.ne(MASKED)


def _examples(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a bin, or the one row."""
    ids = row["input_ids"]
    if not len(ids) or not isinstance(ids[0], Sequence):
        return [row]
    return [{name: row[name][at] for name in row} for at in range(len(ids))]


def weight_of(batch: Mapping[str, Any]) -> Any:
    """The sum of the weights of a batch's trained tokens; the first of a row is never trained."""
    trained = batch["labels"][..., 1:].ne(MASKED)
    return (batch["weights"][..., 1:] * trained).sum()


def _with_head(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _uncast(trainer: Any) -> Any:
    """Keeps peft from copying inputs to float32 for adapters, where autocast takes it back.

    The products are the same: bfloat16 times bfloat16. DoRA computes norms with those inputs.
    """
    from peft import PeftModel
    from peft.helpers import disable_input_dtype_casting

    model = trainer.model
    if not isinstance(model, PeftModel) or not (trainer.args.bf16 or trainer.args.fp16):
        return nullcontext()
    if any(getattr(one, "use_dora", False) for one in model.peft_config.values()):
        return nullcontext()
    return disable_input_dtype_casting(model)
