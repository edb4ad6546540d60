"""The client's own cost: CPU against the bare loop, growth with the set, a slow teacher.

Each prints a table. What a kill or a restart costs is in ``kill`` and ``resume``.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.cost import Cost, Side
from bench.measure import measure, sides
from bench.stub import Stub
from bench.table import table

Rounds = dict[Side, list[Cost]]


def cpu(stub: Stub, work: Path, *, requests: int, concurrency: Sequence[int], rounds: int) -> None:
    """CPU time a request for every side, the rounds interleaved so that noise meets all alike."""
    print(f"\ncpu: {requests:,} requests, no latency, {rounds} interleaved rounds")
    print("(x bare: median of the ratios within a round)\n")
    rows: list[list[str]] = []
    start: Rounds = {side: [] for side in sides()}
    for at_once in concurrency:
        costs: Rounds = {side: [] for side in sides()}
        for _ in range(rounds):
            for side, found in costs.items():
                found.append(measure(side, stub, work, count=requests, concurrency=at_once))
                start[side].append(found[-1])
        rows += _cpu_rows(at_once, costs)
    head = ["side", "C", "us min", "median", "max", "x bare", "req/s min", "median", "max"]
    print(table(head, rows))
    print("\nstart (process, imports, one request), not in the above:\n")
    print(table(["side", "CPU s"], [[s, f"{_start(found):.2f}"] for s, found in start.items()]))


def _cpu_rows(at_once: int, costs: Rounds) -> list[list[str]]:
    rows = []
    floor = [cost.asking_us() for cost in costs["bare"]]
    for side, found in costs.items():
        name = "distill, asking" if side == "distill" else side
        asking = [cost.asking_us() for cost in found]
        per_s = [cost.per_s() for cost in found]
        rows.append(
            [name, f"{at_once:,}", *_spread(asking), _ratio(asking, floor), *_spread(per_s)]
        )
    whole = [cost.whole_us() for cost in costs["distill"]]
    per_s = [cost.count / cost.whole.wall_s for cost in costs["distill"]]
    last = ["distill, whole command", f"{at_once:,}", *_spread(whole), _ratio(whole, floor)]
    return [*rows, [*last, *_spread(per_s)]]


def _spread(values: Sequence[float]) -> list[str]:
    return [f"{pick(values):,.0f}" for pick in (min, median, max)]


def _ratio(values: Sequence[float], floor: Sequence[float]) -> str:
    return f"{median(value / least for value, least in zip(values, floor, strict=True)):.2f}"


def _start(costs: Sequence[Cost]) -> float:
    return median(cost.start_cpu_s for cost in costs)


def growth(stub: Stub, work: Path, *, requests: Sequence[int], concurrency: int) -> None:
    """Whether a request costs the same, and memory stays where it is, as the set grows."""
    print(f"\ngrowth: distill, {concurrency:,} at once, no latency\n")
    rows = []
    for count in requests:
        cost = measure("distill", stub, work, count=count, concurrency=concurrency)
        figures = (cost.asking_us(), cost.whole_us(), cost.peak_mb, cost.disk_bytes / count)
        walls = (cost.asking.wall_s, cost.whole.wall_s)
        rows.append([f"{count:,}", *(f"{x:,.0f}" for x in figures), *(f"{x:,.1f}" for x in walls)])
    head = ["requests", "asking us", "whole us", "peak MB", "ledger B/answer", "asking s"]
    print(table([*head, "whole s"], rows))


def latency(stub: Stub, work: Path, *, requests: int, concurrency: int, latency_s: float) -> None:
    """How near each side comes to what a slow teacher allows: that many at once, all the time."""
    rounds_needed = -(-requests // concurrency)
    ideal_s = rounds_needed * latency_s
    print(f"\nlatency: {requests:,} requests, {concurrency:,} at once, {latency_s:g} s each")
    print(f"(ideal: {rounds_needed:,} x {latency_s:g} s = {ideal_s:g} s; asking alone)\n")
    rows = []
    both: tuple[Side, ...] = ("bare", "distill")
    for side in both:
        cost = measure(
            side, stub, work, count=requests, concurrency=concurrency, latency_s=latency_s
        )
        wall_s = cost.asking.wall_s
        share = f"{ideal_s / wall_s:.1%}"
        most = f"{stub.stats()['max_inflight']:,}"
        rows.append([side, f"{wall_s:.2f}", share, f"{cost.asking_us():,.0f}", most])
    print(table(["side", "wall s", "of ideal", "CPU us/request", "most at once"], rows))
