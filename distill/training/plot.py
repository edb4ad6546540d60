"""Draws a training: loss, throughput and learning rate against the step."""

import logging
from pathlib import Path

import orjson

from distill.files.write import write_atomic

log = logging.getLogger("distill")
NAME = "train.png"
INCHES, DOTS_PER_INCH = (8, 7), 100
SMOOTH = 40  # windows of the running mean over a whole training


def plot(steps: Path, out: Path) -> None:
    """Writes ``out``, a PNG, from a train.jsonl; a log line where that cannot be done."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.info("train: no %s, because matplotlib is not installed: pip install matplotlib", NAME)
        return
    lines = [orjson.loads(line) for line in steps.read_bytes().splitlines()]
    if not lines:
        return
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    at = [line["step"] for line in lines]
    rows = figure.subplots(3, 1, sharex=True)
    names = {"loss": "loss", "tokens_per_s": "tokens/s", "learning_rate": "learning rate"}
    for axes, (key, title) in zip(rows, names.items(), strict=True):
        values = [line[key] for line in lines]
        axes.plot(at, values, color="C0", alpha=0.35 if len(at) > SMOOTH else 1.0)
        if len(at) > SMOOTH:
            axes.plot(at, _smooth(values, len(at) // SMOOTH), color="C0", label="running mean")
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    found = [(line["step"], line["eval_loss"]) for line in lines if line.get("eval_loss")]
    if found:
        rows[0].plot(*zip(*found, strict=True), "o-", color="C1", label="eval loss")
    if found or len(at) > SMOOTH:
        rows[0].legend()
    rows[1].set_ylim(bottom=0)
    rows[2].set_xlabel("step")
    try:
        write_atomic(out, lambda part: figure.savefig(part, format="png"))
    except OSError as error:  # the student is saved: no reason to fail
        log.warning("train: no %s: %s", NAME, error.strerror)


def _smooth(values: list[float | None], window: int) -> list[float]:
    """The mean of each value and those before it, ``window`` in all; of the values there are."""
    means: list[float] = []
    for end in range(1, len(values) + 1):
        near = [value for value in values[max(0, end - window) : end] if value is not None]
        means.append(sum(near) / len(near) if near else float("nan"))
    return means
