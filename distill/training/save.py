"""Saves a finished student: adapter or weights, tokenizer, template, generation config.

It is written beside its place and moved there, so the folder never holds half a student.
"""

import shutil
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import read_json, write_json
from distill.local_models.allowed import ADAPTER
from distill.training.base import ChatFormat
from distill.training.writing import is_full, why

# Files of an earlier student that would be loaded with this one.
OLD = ("adapter_*", "*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*")
# Other files of a student; they are replaced, so they must not be somebody else's.
WRITTEN = (
    *("generation_config.json", "chat_template.jinja", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "train.json", "proof.json"),
)
UNFINISHED = ".student.unfinished"  # is in OUT from the first change until train.json
SIGNED = {"train.json": "fingerprint", "proof.json": "checks"}  # files with a key that is ours
# Written by the libraries, but not part of a student: a pickle, and an empty card.
NOT_OURS = ("training_args.bin", "README.md")


def save(trainer: Any, chat: ChatFormat, out: Path, *, base: str) -> None:
    """Writes the trained student into ``out``, replacing an earlier one.

    ``base`` is the folder or Hub id that an adapter names as its base.

    Raises:
        UserError: it cannot be written. An earlier student and the checkpoints stay.
    """
    from safetensors import SafetensorError

    part = out / ".student.part"
    if trainer.is_world_process_zero():
        shutil.rmtree(part, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    if sharded := getattr(trainer.accelerator.state, "fsdp_plugin", None):
        sharded.set_state_dict_type("FULL_STATE_DICT")  # else transformers saves no model at all
    try:
        trainer.save_model(str(part))  # by every process: sharded weights are gathered here
        if not trainer.is_world_process_zero():
            return
        complete(part, trainer.accelerator.unwrap_model(trainer.model), chat, base=base)
    except (OSError, SafetensorError) as error:  # a full disk is either
        shutil.rmtree(part, ignore_errors=True)
        raise refused_save(out, error) from None
    remove_old(out)
    for file in part.iterdir():
        if file.is_dir():  # additional_chat_templates: a folder cannot replace a full one
            shutil.rmtree(out / file.name, ignore_errors=True)
        file.replace(out / file.name)
    part.rmdir()


def complete(part: Path, model: Any, chat: ChatFormat, *, base: str) -> None:
    """Adds to a model's files in ``part`` what makes them a student."""
    model.generation_config.save_pretrained(str(part))
    chat.tokenizer.save_pretrained(str(part))
    if config := read_json(part / ADAPTER):
        write_json(part / ADAPTER, {**config, "base_model_name_or_path": base})
    for name in NOT_OURS:
        (part / name).unlink(missing_ok=True)


def refused_save(out: Path, error: Exception) -> UserError:
    """The error for a student that cannot be written."""
    step = "make room" if is_full(error) else "see what it says"
    msg = (
        f"{out}: the student cannot be saved: {why(error)}; an earlier student and all checkpoints "
    )
    return UserError(f"{msg}stay; next: {step}, then the same command")


def refuse_other_model(out: Path, base: str) -> None:
    """Raises if a student in ``out`` would replace a model that distill did not train.

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
    """Removes an earlier student's files; ``refuse_other_model`` has checked that they are ours."""
    for pattern in OLD:
        for file in _files(out, pattern):
            file.unlink()


def _files(out: Path, pattern: str) -> list[Path]:
    return sorted(path for path in out.glob(pattern) if not path.is_dir())
