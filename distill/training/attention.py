"""Attention inside the documents of a packed row, by the fastest exact way there is.

transformers' own way without flash-attn is a mask over the whole row: exact, but it computes and
stores every pair of documents, too (32,768 tokens: 1 GiB of mask).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

log = logging.getLogger("distill")
# How transformers knows it. It asks for flash-attn where a name has "flash" in it.
PACKED = "distill_packed"
# transformers' names of flash-attn packages, the newest first, and what each is called here.
FLASH = {4: "flash_attention_4", 3: "flash_attention_3", 2: "flash_attention_2"}
# Of a config: attention that torch has no kernel for.
UNUSUAL = ("attn_logit_softcapping", "attn_logit_soft_cap")
LAYERS = {"full_attention", "sliding_attention"}
AMPERE = (8, 0)  # compute capability; torch's varlen kernel is FlashAttention-2, for A100 and later


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """How a model attends."""

    name: str  # transformers' name of the implementation
    said: str  # for people
    apart: bool  # documents of one row cost no more than documents of their own


def choose(model: Any, *, asked: str | None, device: str, dtype: Any) -> Attention:
    """The attention that a model is trained with; it is set by ``use``.

    Args:
        model: as loaded.
        asked: the recipe's ``attn_implementation``, which is kept.
        device: cuda, mps or cpu.
        dtype: of the computation, which is autocast's under autocast.
    """
    import torch

    if asked is not None:
        flash = asked in FLASH.values()
        return Attention(name=asked, said=f"{asked}, as the recipe says", apart=flash)
    now = model.config._attn_implementation
    if not _suits(model):
        return Attention(name=now, said=f"{now}, the only one that suits this model", apart=False)
    half = dtype in (torch.bfloat16, torch.float16)
    if device == "cuda" and half and (newest := _flash_attn()) is not None:
        return Attention(name=newest, said=newest, apart=True)
    said = "SDPA, one document after the other"
    if device == "cuda" and half and _varlen_gpu():
        said = "torch's varlen kernel (FlashAttention-2)"
    return Attention(name=PACKED, said=said, apart=True)


def use(model: Any, attention: Attention) -> None:
    """Sets it, if it is not what the model has."""
    if attention.name == model.config._attn_implementation:
        return
    if attention.name == PACKED:
        register()
    model.set_attn_implementation(attention.name)


def register() -> None:
    """Makes PACKED known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, packed)
    AttentionMaskInterface.register(PACKED, _mask)


def _suits(model: Any) -> bool:
    config = model.config.get_text_config()
    known = set(getattr(config, "layer_types", None) or LAYERS) <= LAYERS
    usual = all(getattr(config, name, None) is None for name in UNUSUAL)
    return bool(known and usual and model._supports_attention_backend and model._supports_sdpa)


def _flash_attn() -> str | None:
    """The newest flash-attn that is installed and made for this GPU."""
    import torch
    from transformers import modeling_flash_attention_utils as known

    major, _ = torch.cuda.get_device_capability()
    for version, name in FLASH.items():
        about = known.FLASH_ATTENTION_COMPATIBILITY_MATRIX.get(version, {})
        fits = major >= about.get("cuda_min_major_version", AMPERE[0])
        if about and fits and about["general_availability_check"]():
            return name
    return None


def _varlen_gpu() -> bool:
    import torch

    return torch.version.hip is None and torch.cuda.get_device_capability() >= AMPERE


def _mask(*, attention_mask: Any = None, **given: Any) -> Any:
    """No mask for packed rows and whole ones; SDPA's where a batch is padded, as in generation."""
    from transformers.masking_utils import sdpa_mask

    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **given)


def packed(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Any = None,
    max_length_q: int | None = None,
    position_ids: Any = None,
    **given: Any,
) -> tuple[Any, None]:
    """Attention as transformers calls it: (1, heads, tokens, width) → (1, tokens, heads, width).

    ``cu_seq_lens_q`` are the starts of the documents and the row's end, from trl's collator.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def plain(query: Any, key: Any, value: Any, mask: Any) -> Any:
        options = {"dropout": dropout, "scaling": scaling}
        return sdpa_attention_forward(module, query, key, value, mask, **options)[0]

    if attention_mask is not None or query.shape[2] != key.shape[2]:  # padded, or generating
        return plain(query, key, value, attention_mask), None
    query, key, value = _lowered(query, key, value)
    if cu_seq_lens_q is None and (cu_seq_lens_q := _starts(query, position_ids)) is None:
        return plain(query, key, value, _window(query, sliding_window)), None
    if _varlen_fits(query, value, dropout):
        longest = max_length_q or int(cu_seq_lens_q.diff().max())
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        window = -1 if sliding_window is None else sliding_window - 1
        flat = [x.transpose(1, 2)[0].contiguous() for x in (query, key, value)]
        return flash_attn_varlen()(*flat, cu_seq_lens_q, longest, scale, window)[0][None], None
    documents = [
        plain(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            _window(query, sliding_window, end - start),
        )
        for start, end in pairwise(cu_seq_lens_q.tolist())
    ]
    return documents[0] if len(documents) == 1 else torch.cat(documents, dim=1), None


def _starts(query: Any, position_ids: Any) -> Any:
    """Where documents start and the row ends, by its positions; None if every row is a document.

    Raises:
        ValueError: several packed rows in one batch, which only a mask could tell apart.
    """
    import torch

    if position_ids is None or not bool((position_ids[:, 1:] == 0).any()):
        return None
    if query.shape[0] > 1:
        msg = "packed rows come one at a time"
        raise ValueError(msg)
    starts = (position_ids[0] == 0).nonzero()[:, 0]
    return torch.cat([starts, starts.new_tensor([query.shape[2]])]).to(torch.int32)


def _lowered(*tensors: Any) -> list[Any]:
    """In autocast's number format: with float32 weights, rotated queries and keys are not in it."""
    import torch

    kind = tensors[0].device.type
    low = torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if low else tensors[-1].dtype
    return [one.to(dtype) for one in tensors]


def _window(query: Any, sliding_window: int | None, length: int | None = None) -> Any:
    """The mask of a document that is longer than its layer's window; None if there is none."""
    import torch

    length = query.shape[2] if length is None else length
    if sliding_window is None or length <= sliding_window:
        return None
    places = torch.arange(length, device=query.device)
    behind = places[:, None] - places
    return ((behind >= 0) & (behind < sliding_window))[None, None]


def _varlen_fits(query: Any, value: Any, dropout: float) -> bool:
    """Whether torch's varlen kernel takes it (aten, flash_api.cpp: width, format, device)."""
    import torch

    width = query.shape[-1]
    narrow = width == value.shape[-1] and width <= 256 and width % 8 == 0
    half = query.dtype in (torch.bfloat16, torch.float16)
    return bool(query.is_cuda and half and narrow and not dropout and _varlen_gpu())


@cache
def flash_attn_varlen() -> Any:
    """The operator distill::flash_attn_varlen, with its gradient.

    It is one of its own, and has flash_attn in its name, because trl's selective checkpointing
    keeps the results of such operators and computes all others again.
    """
    import torch

    @torch.library.custom_op("distill::flash_attn_varlen", mutates_args=())  # type: ignore[untyped-decorator]
    def operator(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        starts: torch.Tensor,
        longest: int,
        scale: float,
        window: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return tuple(_forward(query, key, value, starts, longest, scale, window))

    def fake(query: Any, key: Any, value: Any, *_: Any) -> tuple[Any, ...]:
        sums = query.new_empty(query.shape[:2][::-1], dtype=torch.float32)
        return torch.empty_like(query), sums, query.new_empty(2, dtype=torch.uint64)

    @torch.library.custom_op("distill::flash_attn_varlen_backward", mutates_args=())  # type: ignore[untyped-decorator]
    def gradient(
        grad: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        out: torch.Tensor,
        sums: torch.Tensor,
        starts: torch.Tensor,
        state: torch.Tensor,
        longest: int,
        scale: float,
        window: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        saved = (query, key, value, out, sums, starts, state)
        return tuple(_backward(grad, saved, longest, scale, window))

    def fake_gradient(grad: Any, query: Any, key: Any, value: Any, *_: Any) -> tuple[Any, ...]:
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        query, key, value, starts, *ctx.numbers = inputs
        out, sums, state = output
        ctx.save_for_backward(query, key, value, out, sums, starts, state)

    def backward(ctx: Any, grad: Any, *_: Any) -> tuple[Any, ...]:
        grads = gradient(grad.contiguous(), *ctx.saved_tensors, *ctx.numbers)
        return (*grads, None, None, None, None)

    operator.register_fake(fake)
    gradient.register_fake(fake_gradient)
    operator.register_autograd(backward, setup_context=keep)
    return operator


def _forward(
    query: Any, key: Any, value: Any, starts: Any, longest: int, scale: float, window: int
) -> Sequence[Any]:
    """Aten's kernel: output, log of the sums, random state. Causal; ``window`` tokens back, or -1.

    Fewer heads of keys than of queries are what it takes, in every torch since 2.2.
    """
    import torch

    ends = (starts, starts, longest, longest, 0.0, window < 0, False)
    out, sums, state, *_ = torch.ops.aten._flash_attention_forward(
        query, key, value, *ends, scale=scale, window_size_left=window, window_size_right=0
    )
    return out, sums, state


def _backward(
    grad: Any, saved: Sequence[Any], longest: int, scale: float, window: int
) -> Sequence[Any]:
    import torch

    query, key, value, out, sums, starts, state = saved
    unused = grad.new_empty(0)
    tensors = (grad, query, key, value, out, sums, starts, starts)
    return torch.ops.aten._flash_attention_backward(  # type: ignore[no-any-return]
        *(*tensors, longest, longest, 0.0, window < 0, state, unused),
        scale=scale,
        window_size_left=window,
        window_size_right=0,
    )
