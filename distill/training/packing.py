"""Packs whole examples into rows of one size, over all of the set, and never cuts one.

trl packs within every 1,000 rows, in the order of their lengths, and cuts what is too long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Which examples share a row."""

    members: tuple[Numbers, ...]  # of each bin: the numbers of its examples in the set
    lengths: Numbers  # of the examples, tokens
    capacity: int  # tokens that a bin may hold
    per_step: int  # bins that one process takes for an optimizer step
    processes: int

    @property
    def tokens(self) -> int:
        """Tokens in all bins."""
        return int(sum(self.lengths[one].sum() for one in self.members))

    @property
    def filled(self) -> float:
        """Share of the room that is taken, 0 to 1."""
        return self.tokens / (self.capacity * len(self.members))

    @property
    def traces_per_step(self) -> float:
        """Examples in an optimizer step of all processes, on average."""
        return len(self.lengths) / len(self.members) * self.per_step * self.processes

    def __str__(self) -> str:
        return (
            f"{len(self.lengths):,} traces in {len(self.members):,} rows of up to "
            f"{self.capacity:,} tokens ({self.filled:.1%} filled), {self.traces_per_step:.1f} "
            "traces a step"
        )


def bins(
    lengths: Numbers, *, capacity: int, traces_per_step: float, processes: int = 1, seed: int = 42
) -> Bins:
    """The examples in bins, so that an optimizer step has as many traces as without packing.

    Bins are filled up to less than ``capacity`` for that; a longer example has a bin of its own.

    Args:
        lengths: of the examples, tokens.
        capacity: the most tokens of a bin.
        traces_per_step: what the recipe means, over all processes.
        processes: that train together, each with bins of its own.
        seed: decides between examples of one length.

    Raises:
        ValueError: an example is longer than the capacity.
    """
    wanted = float(lengths.mean()) * traces_per_step / processes  # tokens of a process in a step
    per_step = max(1, ceil(wanted / capacity))
    room = _room(lengths, capacity, len(lengths) * per_step * processes / traces_per_step)
    alone = np.flatnonzero((lengths > room) & (lengths <= capacity))
    others = np.flatnonzero((lengths <= room) | (lengths > capacity))
    members = pack(lengths[others], room, seed=seed)
    return Bins(
        members=(*(others[one] for one in members), *alone[:, None]),
        lengths=lengths,
        capacity=max(room, int(lengths.max())),
        per_step=per_step,
        processes=processes,
    )


def _room(lengths: Numbers, capacity: int, count: float) -> int:
    """The tokens of a bin, at most ``capacity``, that make about ``count`` bins."""
    low, high = 1, capacity
    while low < high:
        room = (low + high) // 2
        whole = lengths[lengths <= room]
        if len(lengths) - len(whole) + whole.sum() / room > count:
            low = room + 1
        else:
            high = room
    return low


def pack(lengths: Numbers, capacity: int, *, seed: int = 42) -> tuple[Numbers, ...]:
    """Best-fit decreasing: every example, the longest first, into the fullest bin with room for it.

    Raises:
        ValueError: an example is longer than the capacity.
    """
    if len(lengths) and lengths.max() > capacity:
        msg = f"an example of {lengths.max()} tokens does not fit into {capacity}"
        raise ValueError(msg)
    shuffled = np.random.default_rng(seed).permutation(len(lengths))
    order = shuffled[np.argsort(-lengths[shuffled], kind="stable")]
    found: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit r: there is a bin with room for r tokens
    for example, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            into = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, into = capacity, len(found)
            found.append([])
        found[into].append(example)
        with_room[room - length].append(into)
        rooms |= 1 << (room - length)
    return tuple(np.array(one, np.int64) for one in found)


def balanced(packed: Bins, *, seed: int, epoch: int) -> list[int]:
    """The order of an epoch's bins: every step of like cost, and so every process in it.

    The bins are sorted by cost, the square of lengths, and cut into as many layers as a step has
    bins. A step is one bin of each layer, drawn at random. Processes take turns, forwards and
    backwards. The bins that do not fill a step are drawn at random too, and come last.
    """
    draw = np.random.default_rng([seed, epoch])
    a_step = packed.per_step * packed.processes
    steps = len(packed.members) // a_step
    costs = [int((packed.lengths[one] ** 2).sum()) for one in packed.members]
    mixed = draw.permutation(len(costs))
    rest, used = mixed[steps * a_step :], mixed[: steps * a_step]
    by_cost = used[np.argsort(np.array(costs)[used], kind="stable")]
    layers = draw.permuted(by_cost.reshape(a_step, steps), axis=1)
    turns = np.arange(a_step).reshape(packed.per_step, packed.processes)
    turns[1::2] = turns[1::2, ::-1].copy()
    return [*layers[turns.ravel()].T.ravel().tolist(), *rest.tolist()]


class Packed:
    """A set of bins as torch's DataLoader reads it, over the rows of a ``datasets.Dataset``."""

    def __init__(self, rows: Any, packed: Bins) -> None:
        """``rows`` has input_ids, labels, and weights if there are any."""
        self.rows, self.bins = rows, packed

    def __len__(self) -> int:
        return len(self.bins.members)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The examples of a bin, each still a row of its own: the collator joins them."""
        found: dict[str, Any] = self.rows[self.bins.members[number].tolist()]
        return found


class Order:
    """A sampler: the bins in the balanced order of the epoch."""

    def __init__(self, packed: Bins, *, seed: int) -> None:
        """``seed`` and the epoch decide the order, so that a resumed training finds it again."""
        self.bins, self.seed, self.epoch = packed, seed, 0

    def __len__(self) -> int:
        return len(self.bins.members)

    def __iter__(self) -> Iterator[int]:
        return iter(balanced(self.bins, seed=self.seed, epoch=self.epoch))

    def set_epoch(self, epoch: int) -> None:
        """As transformers and accelerate call it."""
        self.epoch = epoch
