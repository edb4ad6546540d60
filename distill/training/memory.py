"""Predicts the peak memory of a training from the model's shape and how it is trained.

What autograd keeps is counted tensor by tensor (transformers 5.24, peft 0.21, trl 1.16); a test
compares that with what torch really keeps. The rest is few constants, measured where they stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from distill.training.loss import TILE
from distill.training.shape import Shape

GIB = 2**30
Checkpointing = Literal["none", "selective", "full"]
Attention = Literal["documents", "mask"]  # each document for itself, or all pairs under a mask
# nf4 with double quantisation (QLoRA, arXiv 2305.14314, section 3): half a byte, a byte for each
# 64 weights, and 4 for each 256 of those.
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
ADAM = 8  # bytes for each trained parameter: two moments in float32
# Logits at a time on a GPU: trl 1.16, kernels/chunked_logprob.py and trainer/utils.py
TILE_ROWS, TILE_COLUMNS = 4096, 32768
# Intermediate gradients of a layer while it goes backward, in tensors as wide as the MLP
BACKWARD = 3
# A process with torch, transformers and trl, and no model; and its tokenizer, for each token
CPU_PROCESS, TOKEN = 0.565 * GIB, 1200
# cuBLAS workspaces, kernels' own memory, and what the allocator rounds up
GPU_PROCESS = 0.5 * GIB
# What malloc holds in holes, as a share of what all layers compute and drop: torch asks for aligned
# blocks, which glibc before 2.38 seldom fits into what such a block left. float32, bfloat16; fitted
HOLES = (1.0, 0.3)
UNPACKED = 7  # bytes of holes for each weight of 4 bits, from unpacking it; fitted to two runs
MAPPED = 2**25  # bytes; a larger block is not malloc's own, so it leaves no hole (mallopt(3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How a model is trained; sizes of one process."""

    rank: int = 0  # of the adapter; 0: all weights are trained
    targets: tuple[str, ...] | None = None  # its matrices; None: all
    quantized: bool = False  # nf4
    half_weights: bool = False  # bfloat16, else float32
    half: bool = False  # computes in bfloat16
    half_adapter: bool = False
    checkpointing: Checkpointing = "none"
    row: int = 0  # tokens of the longest row of a micro-batch
    rows: int = 1  # of a micro-batch
    accumulation: int = 1  # micro-batches a step
    attention: Attention = "documents"
    recast: bool = (
        False  # inputs of adapters in float32, as peft does unless told (training.trainer)
    )
    fused: bool = False  # liger's kernels, which keep less
    gpu: bool = False
    shards: int = 1  # processes that share weights, gradients and moments (FSDP2)
    offload: bool = False  # these lie in the host's memory (fsdp_offload_params)
    exchanged: bool = False  # gradients are copied into buckets for other processes (DDP)

    @property
    def tokens(self) -> int:
        """Of a micro-batch, with its padding."""
        return self.row * self.rows

    @property
    def width(self) -> int:
        """Bytes of a number in the layers."""
        return 2 if self.half or self.half_weights else 4

    @property
    def stream(self) -> int:
        """Bytes of a number that goes from layer to layer: FSDP2 casts what goes into a layer."""
        return 2 if self.half_weights or (self.half and self.shards > 1) else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Bytes at the moment when most is held, by what holds them."""

    process: float
    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, bytes."""
        return float(sum(getattr(self, field.name) for field in fields(self)))

    def __str__(self) -> str:
        parts = (f"{one.name} {getattr(self, one.name) / GIB:.1f}" for one in fields(self))
        return f"{self.total / GIB:.1f} GiB ({', '.join(parts)})"


def peak(shape: Shape, work: Work) -> Peak:
    """What a training takes on its fullest device, bytes: GPU memory, or resident memory.

    The fullest moment is one of three: the loss goes backward (every layer's activations are
    there), a layer goes backward, or the optimizer steps (all gradients are there).
    """
    return max(moments(shape, work), key=lambda moment: moment.total)


def moments(shape: Shape, work: Work) -> tuple[Peak, Peak, Peak]:
    """The three moments: loss backward, the first layer backward, the optimizer's step."""
    trained = shape.adapter(work.rank, work.targets) if work.rank else shape.parameters
    adapter = (2 if work.half_adapter else 4) if work.rank else 4
    here = 0.0 if work.offload else trained / work.shards
    gradient = adapter * here * (2 if work.exchanged else 1)
    moment = (ADAM if adapter == 4 else 4) * here
    process = GPU_PROCESS if work.gpu else CPU_PROCESS + TOKEN * shape.vocab
    weights = _weights(shape, work) + (adapter * here if work.rank else 0)
    all_layers, one_layer = _kept(shape, work)
    table = 0.0 if work.rank or work.offload else 4 * shape.table / work.shards
    early = gradient if work.accumulation > 1 or work.exchanged else 0.0  # of earlier micro-batches
    return (
        Peak(
            process=process,
            weights=weights,
            gradients=early,
            optimizer=moment,
            activations=all_layers,
            logits=_logits(shape, work),
        ),
        Peak(
            process=process,
            weights=weights,
            gradients=early or table,
            optimizer=moment,
            activations=all_layers + one_layer,
            logits=0.0,
        ),
        Peak(
            process=process,
            weights=weights,
            gradients=gradient,
            optimizer=moment,
            activations=0.0,
            logits=0.0,
        ),
    )


def host(shape: Shape, work: Work) -> float:
    """Bytes in the memory of the host that ``offload`` puts there, of all its processes."""
    return (4 + 4 + ADAM) * float(shape.parameters) if work.offload else 0.0


def kept_by_layer(shape: Shape, work: Work) -> float:
    """Bytes that autograd keeps for each token of one layer that is not checkpointed.

    h is the stream, q and k the heads, f the MLP. A norm keeps its input in float32, and its
    output where a matrix or an adapter needs it. Attention keeps q, k, v, its output and a float32
    sum for each head. The MLP keeps gate, its SiLU, up, and their product.
    """
    h, q, k, f, width = shape.hidden, shape.query, shape.key, shape.inner, work.width
    sums = 4 * shape.heads + 2 * 4
    gates = (2 if work.fused else 3) * f * width
    heads = (2 * q + 2 * k) * width
    if not work.rank:
        # norm: input, product, and weight x product; of float32, cast once for each matrix
        norms = (8 if work.fused else 16) * h
        stream = norms
        if work.stream == 4:
            stream += 5 * width * h if work.half else 2 * 4 * h
        return stream + heads + gates + f * width + sums
    low = len(shape.adapted(work.targets)) * work.rank * width
    inputs = (5 * width * h + width * q) if work.recast else 2 * width * h
    norms = 2 * (2 if work.fused else 4) * h
    return norms + inputs + heads + gates + f * width + sums + low


def _kept(shape: Shape, work: Work) -> tuple[float, float]:
    """Bytes of all layers before the backward pass, and what one layer adds while it runs."""
    tokens, h = work.tokens, shape.hidden
    layer = tokens * kept_by_layer(shape, work)
    backward = tokens * BACKWARD * shape.inner * work.width + _mask(shape, work)
    copies = _copies(shape, work)
    last = tokens * 2 * 4 * h + _holes(shape, work, layer)  # the last norm, the head's input
    if work.checkpointing == "none":
        return shape.layers * layer + copies + last + _mask(shape, work), backward
    saved = work.stream * h + (shape.query * work.width if work.checkpointing == "selective" else 0)
    # on a CPU, what recomputing dropped is not used again at once; fitted
    again = layer if work.gpu else 2 * layer
    return shape.layers * tokens * saved + last, again + copies / shape.layers + backward


def _holes(shape: Shape, work: Work, layer: float) -> float:
    """Bytes that malloc has and cannot give again; ``layer``: of what one layer keeps."""
    if work.gpu:
        return 0.0
    unpacked = 0
    if work.quantized:
        sizes = (inputs * outputs for inputs, outputs in shape.linears.values())
        unpacked = UNPACKED * shape.layers * sum(size for size in sizes if 4 * size <= MAPPED)
    wide = work.tokens * shape.inner * work.width
    if work.checkpointing != "none" and wide > MAPPED:  # given back when a layer drops them
        layer -= (3 if work.fused else 4) * wide
    return unpacked + HOLES[work.width == 2] * shape.layers * layer


def _copies(shape: Shape, work: Work) -> float:
    """Autocast's copies of float32 weights in bfloat16, kept until the backward pass."""
    if not work.half or work.half_weights or work.shards > 1:  # FSDP2 casts the weights itself
        return 0.0
    return 2.0 * shape.matrices


def _mask(shape: Shape, work: Work) -> float:
    """A mask of all pairs of tokens, as booleans and in the layers' format; keys repeated."""
    if work.attention == "documents":
        return 0.0
    pairs = work.rows * work.row**2
    return pairs * (1 + work.width) + 2 * work.tokens * (shape.query - shape.key) * work.width


def _weights(shape: Shape, work: Work) -> float:
    width = 2 if work.half_weights else 4
    if work.quantized:
        rest = shape.parameters - shape.matrices
        unpacked = 2 * max(inputs * outputs for inputs, outputs in shape.linears.values())
        # accelerate leaves matrices of 4 bits whole on each device
        return NF4 * shape.matrices + 2 * rest / work.shards + unpacked
    whole = 0.0 if work.offload else width * shape.parameters / work.shards
    if work.shards == 1:
        return whole
    # two layers are gathered at a time, one computing and one on its way; the head while it runs
    return whole + work.width * max(2 * shape.matrices / shape.layers, shape.table)


def _logits(shape: Shape, work: Work) -> float:
    """What the head and the loss hold when the loss goes backward (training.loss, or trl's)."""
    tokens, h = work.tokens, shape.hidden
    gradients = tokens * h * (4 + work.width)
    if not work.rank:
        gradients += 4 * shape.table
    if work.gpu:
        return gradients + min(tokens, TILE_ROWS) * min(shape.vocab, TILE_COLUMNS) * work.width
    tile = min(TILE, 4 * tokens * shape.vocab)
    half = work.width == 2
    copy = 2 * shape.table if work.half and not work.half_weights else 0
    logits = (2.5 if half else 2) * tile  # logits, their logarithm in float32, one on its way
    product = 0 if work.rank else (1.5 if half else 1) * tile + work.width * shape.table
    return gradients + copy + max(logits, product)


def adapter_targets(wanted: object) -> tuple[str, ...] | None:
    """``target_modules`` of an adapter as names of matrices; None: all of them."""
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        return None
    return tuple(str(one).rpartition(".")[2] for one in wanted)
