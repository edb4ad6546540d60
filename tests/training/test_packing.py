"""Bins hold every example whole, are full, and keep the traces of a step."""

import time

import numpy as np
import pytest

from distill.training.packing import balanced, bins, pack


def drawn(count: int, *, longest: int = 32768, median: int = 4500) -> np.ndarray:
    lengths = np.random.default_rng(0).lognormal(np.log(median), 0.7, count)
    return np.clip(lengths, 1, longest).astype(np.int64)


def test_a_hundred_thousand_traces_fill_their_bins_in_two_seconds() -> None:
    lengths, began = drawn(100_000), time.process_time()
    made = pack(lengths, 32768)
    assert time.process_time() - began < 2
    assert lengths.sum() / (32768 * len(made)) >= 0.98
    assert max(lengths[one].sum() for one in made) <= 32768
    assert np.array_equal(np.sort(np.concatenate(made)), np.arange(100_000))


def test_the_seed_alone_decides_what_shares_a_bin() -> None:
    lengths = drawn(500, longest=64, median=20)
    one, again, other = ([tuple(x) for x in pack(lengths, 64, seed=seed)] for seed in (1, 1, 2))
    assert one == again != other


def test_an_example_that_no_bin_could_hold_is_never_cut() -> None:
    with pytest.raises(ValueError, match="65 tokens does not fit into 64"):
        pack(np.array([3, 65]), 64)


@pytest.mark.parametrize("processes", [1, 2, 8])
@pytest.mark.parametrize("traces", [8, 16, 64, 128])
@pytest.mark.parametrize("capacity", [32768, 65536, 262144])
def test_a_step_has_as_many_traces_as_the_recipe_means(
    capacity: int, traces: int, processes: int
) -> None:
    lengths = drawn(4000)
    made = bins(lengths, capacity=capacity, traces_per_step=traces, processes=processes)
    assert made.traces_per_step == pytest.approx(traces, rel=0.03)
    assert made.tokens == lengths.sum()
    assert made.capacity <= capacity
    assert np.array_equal(np.sort(np.concatenate(made.members)), np.arange(4000))


def test_an_epoch_takes_every_bin_once_in_an_order_of_its_own() -> None:
    made = bins(drawn(1000), capacity=32768, traces_per_step=64, processes=4)
    first, again, second = (balanced(made, seed=1, epoch=epoch) for epoch in (0, 0, 1))
    assert first == again != second
    assert sorted(first) == sorted(second) == list(range(len(made.members)))


def test_steps_and_the_processes_in_them_cost_about_the_same() -> None:
    made = bins(drawn(20_000), capacity=32768, traces_per_step=256, processes=4)
    costs = np.array([int((made.lengths[one] ** 2).sum()) for one in made.members])
    a_step = made.per_step * 4
    whole = len(costs) // a_step * a_step

    def spread(order: np.ndarray) -> tuple[float, float]:
        """Of the costs of steps, and the slowest process over the mean of its step."""
        steps = costs[order[:whole]].reshape(-1, made.per_step, 4)
        each, of_process = steps.sum((1, 2)), steps.sum(1)
        slowest = of_process.max(1) / of_process.mean(1)
        return float(each.std() / each.mean()), float(slowest.mean())

    at_random = spread(np.random.default_rng(1).permutation(len(costs)))
    ours = spread(np.array(balanced(made, seed=1, epoch=0)))
    assert ours[0] < at_random[0] / 2
    assert ours[1] - 1 < (at_random[1] - 1) * 0.75
