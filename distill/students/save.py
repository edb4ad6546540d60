"""A finished student in its folder: adapter or weights, tokenizer, template, generation config.

Written beside and moved, so the folder never holds half of one student. Writes no manifest.
"""

import shutil
from pathlib import Path
from typing import Any

from distill.students.base import Dialect

# What an earlier student may have left, and what would be loaded with this one.
OLD = ("adapter_*", "*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*")
# Written by the libraries, and no part of a student: a pickle, and a card that says nothing.
NOT_OURS = ("training_args.bin", "README.md")


def save(trainer: Any, dialect: Dialect, out: Path) -> None:
    """Writes the trained student into ``out``, replacing an earlier one."""
    part = out / ".student.part"
    if trainer.is_world_process_zero():
        shutil.rmtree(part, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(part))  # by every process: sharded weights are gathered here
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.generation_config.save_pretrained(str(part))
    dialect.tokenizer.save_pretrained(str(part))
    for name in NOT_OURS:
        (part / name).unlink(missing_ok=True)
    remove_old(out)
    for file in part.iterdir():
        file.replace(out / file.name)
    part.rmdir()


def remove_old(out: Path) -> None:
    """Removes the files of an earlier student; never anything else."""
    for pattern in OLD:
        for file in out.glob(pattern):
            file.unlink()
