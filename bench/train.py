"""distill's training against plain trl, on the same traces in one run.

    python -m bench.train MODELS             useful tokens per CPU second, peak memory, loss
    python -m bench.train --tiny             the same with random models of two layers
    python -m bench.train --gpu              7B LoRA and 1.5B full at 32k tokens, on one GPU

MODELS is a folder with a SmolLM2-135M in smollm2/ and a Qwen2.5-0.5B in qwen2.5/, each a Hugging
Face folder. With --gpu the weights are random. Useful tokens are those of the traces: prompts and
answers, no padding. Each side runs in a process of its own; rounds go through the sides in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.machine import ROOT, header
from bench.table import table
from bench.train_sides import SIDES, Job, lengths

HEAD = ["side", "tokens/CPU s", "x padded", "tokens/s", "peak MB", "first loss", "rounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A model and the traces that it is trained on."""

    name: str
    traces: int
    longest: int
    median: int
    full: bool = False
    config: tuple[tuple[str, int], ...] = ()  # of Qwen2.5, for random weights


CPU = (
    Shape(name="smollm2", traces=8, longest=4096, median=500),
    Shape(name="qwen2.5", traces=8, longest=4096, median=500),
)
# Lengths as in the H100 measurements behind the targets: median 4.5k, at most 16k, 32k a row.
WIDE = (("num_hidden_layers", 28), ("vocab_size", 152064), ("max_position_embeddings", 32768))
SMALL = (("hidden_size", 1536), ("intermediate_size", 8960), ("num_attention_heads", 12))
LARGE = (("hidden_size", 3584), ("intermediate_size", 18944), ("num_attention_heads", 28))
GPU = (
    Shape(
        name="1.5B, all weights",
        traces=16,
        longest=16384,
        median=4500,
        full=True,
        config=(*WIDE, *SMALL, ("num_key_value_heads", 2)),
    ),
    Shape(
        name="7B, LoRA",
        traces=16,
        longest=16384,
        median=4500,
        config=(*WIDE, *LARGE, ("num_key_value_heads", 4)),
    ),
)
TINY = (("num_hidden_layers", 2), ("hidden_size", 64), ("intermediate_size", 128))
HEADS = (("num_attention_heads", 4), ("num_key_value_heads", 2), ("vocab_size", 512))


def main() -> None:
    """Prints a table for each shape."""
    options = _options()
    print(header(Path.cwd()), end="\n\n")
    shapes = GPU if options.gpu else CPU
    for shape in (one for one in shapes if not options.shapes or one.name in options.shapes):
        small = replace(shape, traces=4, longest=96, median=40, config=(*TINY, *HEADS))
        shape = small if options.tiny else replace(shape, traces=options.traces or shape.traces)
        with _model(shape, options.models) as folder:
            print(_compared(shape, folder, options), end="\n\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="?")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--shapes", nargs="+", help=", ".join(x.name for x in (*CPU, *GPU)))
    parser.add_argument("--traces", type=int, help="in the step that is measured")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    if options.models is None and not (options.gpu or options.tiny):
        parser.error("MODELS is needed, or --tiny, or --gpu")
    return options


def _compared(shape: Shape, folder: Path, options: argparse.Namespace) -> str:
    job = Job(
        side="",
        model=str(folder),
        traces=shape.traces,
        longest=shape.longest,
        median=shape.median,
        steps=2 if options.gpu else 1,
        full=shape.full,
        seed=options.seed,
    )
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            found[side].append(_alone(replace(job, side=side)))
            print(f"{shape.name}, {side}: {found[side][-1]}", file=sys.stderr, flush=True)
    base = _speed(found[SIDES[0]], "cpu_s")
    rows = [_line(side, runs, base) for side, runs in found.items()]
    drawn = ", ".join(map(str, sorted(lengths(job))))
    return f"{shape.name}: {shape.traces} traces a step, tokens {drawn}\n{table(HEAD, rows)}"


def _line(side: str, runs: list[dict[str, Any]], base: float) -> list[str]:
    speed = _speed(runs, "cpu_s")
    spread = ", ".join(f"{run['tokens'] / run['cpu_s']:.0f}" for run in runs)
    peak = max(run["peak_mb"] for run in runs)
    return [
        *(side, f"{speed:,.1f}", f"{speed / base:.2f}", f"{_speed(runs, 'wall_s'):,.1f}"),
        *(f"{peak:,.0f}", f"{runs[0]['losses'][0]:.5f}", spread),
    ]


def _speed(runs: list[dict[str, Any]], clock: str) -> float:
    return float(statistics.median(run["tokens"] / run[clock] for run in runs))


def _alone(job: Job) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.train_sides", json.dumps(asdict(job))]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise SystemExit(f"{job.side} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _model(shape: Shape, models: Path | None) -> Iterator[Path]:
    """The shape's folder, or a temporary one with random weights."""
    if not shape.config and models is not None:
        yield models / shape.name
        return
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from tests.builders.models import tokenizer_files

    with tempfile.TemporaryDirectory() as folder:
        tokenizer_files(Path(folder), "composing")
        torch.manual_seed(0)
        given = dict(shape.config)
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen2ForCausalLM(Qwen2Config(**given, eos_token_id=2, pad_token_id=0))
        model.save_pretrained(folder)
        del model
        yield Path(folder)


if __name__ == "__main__":
    main()
