"""The loss where trl's is slow (on a CPU) or missing (weights of tokens), equal to trl's elsewhere.

trl 1.16 is written for Triton. Without it, it projects prompts and padding too, computes the logits
twice, and multiplies in float32 (kernels/chunked_logprob.py). Here only trained tokens are
projected, some at a time, and the gradients are computed with the logits.
"""

from types import MethodType
from typing import Any

from distill.training.tokens import MASKED

# Bytes of float32 logits at a time: 220 tokens of Qwen2.5's 152k, 680 of SmolLM2's 49k.
TILE = 2**27
# What a config can do to the logits after the projection (trl 1.16 utils.py, add_fused_lm_head).
SCALES = (
    *("final_logit_softcapping", "logit_scale", "output_multiplier"),
    *("lm_head_multiplier", "logits_scaling"),
)


def projects_here(trainer: Any) -> bool:
    """Whether the head and the loss are computed by this module, not by trl."""
    args, config = trainer.args, trainer.model.config.get_text_config()
    plain = args.loss_type == "nll" and not args.label_smoothing_factor
    scaled = any(getattr(config, name, None) is not None for name in SCALES)
    cpu = args.device.type == "cpu" and not trainer.is_fsdp_enabled  # the head's weight is sharded
    return bool(cpu and plain and not scaled and not trainer.aux_loss_enabled)


def add_head_loss(model: Any) -> None:
    """Makes ``model(…, labels=…, shares=…)`` the sum of share x -log p, a scalar.

    ``model`` is the one with the head, inside an adapter; the call goes through its wrappers, so
    that their hooks run.
    """
    original, function = model.forward, _function()

    def forward(self: Any, *args: Any, shares: Any = None, **given: Any) -> Any:
        if shares is None:
            return original(*args, **given)
        target = given.pop("labels")[:, 1:]
        hidden = self.base_model(*args, **given).last_hidden_state[:, :-1]
        trained, head = target != MASKED, self.get_output_embeddings()
        hidden, target, shares = hidden[trained], target[trained], shares[:, 1:][trained]
        if not hasattr(head, "bias"):  # peft's, tied to embeddings of which some are trained
            chance = head(hidden).log_softmax(-1, dtype=shares.dtype)
            return -(chance.gather(1, target[:, None])[:, 0] * shares).sum()
        return function.apply(hidden, head.weight, head.bias, target, shares)

    model.forward = MethodType(forward, model)


def _function() -> Any:
    import torch

    class HeadLoss(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, target: Any, share: Any) -> Any:
            kind = hidden.device.type
            low = torch.is_autocast_enabled(kind)
            dtype = torch.get_autocast_dtype(kind) if low else hidden.dtype
            matrix, loss = weight.to(dtype), share.new_zeros(())
            grads = tuple(
                torch.zeros_like(x, dtype=torch.float32) if needed else None
                for x, needed in zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
            )
            rows = max(1, TILE // (4 * len(weight)))
            for part in (slice(at, at + rows) for at in range(0, len(hidden), rows)):
                inputs, wanted = hidden[part].to(dtype), target[part, None]
                logits = torch.nn.functional.linear(inputs, matrix, bias)
                chance = torch.log_softmax(logits, -1, dtype=torch.float32)
                del logits
                # not a product of vectors, which autocast would round
                loss -= (chance.gather(1, wanted)[:, 0] * share[part]).sum()
                if any(ctx.needs_input_grad):
                    slope = chance.exp_()
                    slope.scatter_add_(1, wanted, slope.new_full(wanted.shape, -1))
                    slope.mul_(share[part, None])
                    _add(grads, part, slope, inputs, matrix)
            ctx.grads = grads
            ctx.dtypes = [None if x is None else x.dtype for x in (hidden, weight, bias)]
            return loss

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            grads, ctx.grads = ctx.grads, ()
            return (
                *(
                    None if one is None else one.mul_(grad).to(dtype)
                    for one, dtype in zip(grads, ctx.dtypes, strict=True)
                ),
                *(None, None),
            )

    return HeadLoss


def _add(grads: tuple[Any, ...], part: slice, slope: Any, inputs: Any, matrix: Any) -> None:
    """Adds what some tokens give to the gradients of the hidden states, the weight and the bias."""
    of_hidden, of_weight, of_bias = grads
    rounded = slope.to(inputs.dtype)
    if of_hidden is not None:
        of_hidden[part] = rounded @ matrix
    if of_weight is not None:
        of_weight += rounded.t() @ inputs
    if of_bias is not None:
        of_bias += slope.sum(0)
