"""A finished student in its folder: adapter or weights, tokenizer, template, generation config.

Written beside and moved, so the folder never holds half of one student. Writes no manifest.
"""

import shutil
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import read_json, write_json
from distill.local_models.allowed import ADAPTER
from distill.training.base import ChatFormat

# What an earlier student may have left, and what would be loaded with this one.
OLD = ("adapter_*", "*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*")
# What a student writes besides: replaced, so never to be somebody else's.
WRITTEN = (
    *("generation_config.json", "chat_template.jinja", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "train.json", "proof.json"),
)
UNFINISHED = ".student.unfinished"  # stands in OUT from the first change to train.json
SIGNED = {"train.json": "fingerprint", "proof.json": "checks"}  # of a training that came this far
# Written by the libraries, and no part of a student: a pickle, and a card that says nothing.
NOT_OURS = ("training_args.bin", "README.md")


def save(trainer: Any, chat: ChatFormat, out: Path, *, base: str) -> None:
    """Writes the trained student into ``out``, replacing an earlier one.

    ``base`` is the folder or Hub id that an adapter says it belongs to.
    """
    part = out / ".student.part"
    if trainer.is_world_process_zero():
        shutil.rmtree(part, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(part))  # by every process: sharded weights are gathered here
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.generation_config.save_pretrained(str(part))
    chat.tokenizer.save_pretrained(str(part))
    if told := read_json(part / ADAPTER):
        write_json(part / ADAPTER, {**told, "base_model_name_or_path": base})
    for name in NOT_OURS:
        (part / name).unlink(missing_ok=True)
    remove_old(out)
    for file in part.iterdir():
        file.replace(out / file.name)
    part.rmdir()


def refuse_other_model(out: Path, base: str) -> None:
    """Raises if a student in ``out`` would replace a model that is no earlier student of ours.

    ``base`` is the recipe's: a folder, Hub id or shipped name.

    Raises:
        UserError: ``out`` is the base model's folder, or holds files of another model.
    """
    source = Path(base).expanduser()
    if source.is_dir() and out.is_dir() and out.samefile(source):
        msg = f"{out}: is the base model's own folder, which must stay; choose another -o"
        raise UserError(msg)
    if not is_ours(out, SIGNED, marker=UNFINISHED):
        at_risk = (file for name in (*OLD, *WRITTEN) for file in _files(out, name))
        refuse_foreign(at_risk, by="distill train")


def remove_old(out: Path) -> None:
    """Removes the files of an earlier student; ``refuse_other_model`` has checked them."""
    for pattern in OLD:
        for file in _files(out, pattern):
            file.unlink()


def _files(out: Path, pattern: str) -> list[Path]:
    return sorted(path for path in out.glob(pattern) if not path.is_dir())
