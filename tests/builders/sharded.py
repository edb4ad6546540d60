"""Run by ``accelerate launch``: trains as ``distill train`` does, sharded by FSDP2 on CPUs.

accelerate 1.15 shards on accelerators only (state.py:978-1016): it takes CPUs as MULTI_CPU and
leaves its plugin out. Here the plugin is put in; torch's FSDP2 itself runs on gloo.
"""

import functools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

FIRST = state.AcceleratorState.__init__


@functools.wraps(FIRST)
def sharded(self: Any, *args: Any, **options: Any) -> None:
    FIRST(self, *args, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.FSDP
        state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.fsdp_plugin = options["fsdp_plugin"]


def interrupt(out: Path, at: str) -> None:
    """Leaves what a training leaves that ends after that checkpoint; by one of the processes."""
    from torch.distributed import barrier

    barrier()
    if state.PartialState().is_main_process:
        shutil.copy(out / "train.jsonl", out / "before.jsonl")
        for name in ("train.json", "model.safetensors"):
            (out / name).unlink()
        for path in out.glob("checkpoints/*/checkpoint-*"):
            if path.name != at:
                shutil.rmtree(path)
    barrier()


def main() -> None:
    from distill.commands.train import train

    state.AcceleratorState.__init__ = sharded
    for step in json.loads(sys.argv[1]):
        if "interrupt" in step:
            interrupt(Path(step["out"]), step["interrupt"])
        else:
            train(**step)


if __name__ == "__main__":
    main()
