"""Saves an empty student before the first step, loads it, and throws it away.

What would fail after the last step fails here. It takes about a second for a model of any size,
because the base's weights are neither read nor written: an adapter is written whole, with zeros,
and loaded on a base without weights. Of a student with weights of its own, those are written up to
SMALL; of a larger one the configs are, and the names and shapes of its tensors are compared.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.errors import UserError, first_line
from distill.local_models.allowed import ADAPTER_WEIGHTS
from distill.local_models.chat import FAULTS
from distill.local_models.open import Model
from distill.recipes.positions import Positions
from distill.training.base import ChatFormat
from distill.training.continued import Start
from distill.training.model import endings
from distill.training.options import Options
from distill.training.ready import (
    refuse_disk,
    refuse_head,
    refuse_options,
    refuse_tokens,
    student_bytes,
)
from distill.training.save import complete, refused_save
from distill.training.twin import adapter_twin, base_twin

PREFIX = ".distill-rehearsal-"  # then the process id
SMALL = 2**30  # bytes; written and read again in seconds
# Texts on which a tokenizer that was saved and loaded would differ if it had lost a part.
TURNS = (
    [{"role": "user", "content": "What is 12 * 345?\n\n```python\nx = 'é ñ 你好'\n```"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " <think> 1,000"}],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """What a student will be made of."""

    start: Start
    options: Options
    chat: ChatFormat
    positions: Positions | None = None

    def twin(self) -> Any:
        """The student without weights."""
        if self.options.lora:
            return adapter_twin(self.start.base, self.options)
        return base_twin(self.start.base, self.options, self.positions)


def rehearse(student: Student, *, arguments: Any, out: Path, inside: bool) -> None:
    """Raises if a student like this could not be trained, saved and loaded again.

    Args:
        student: as training will make it.
        arguments: trl's, of its options.
        out: where it will be.
        inside: whether the empty one is written there; else, to the system's temporary folder.

    Raises:
        UserError: a package is missing, the libraries refuse an option, the tokenizer has more
            tokens than the base, the disk is too small, or what was saved cannot be loaded.
    """
    base = student.start.base
    empty = student.twin()
    refuse_options(arguments, empty)
    refuse_tokens(student.chat, empty, base)
    refuse_head(empty)
    refuse_disk(empty, out)
    empty.generation_config = endings(student.start.top, base, student.chat)
    with _workplace(out if inside else Path(tempfile.gettempdir())) as folder:
        try:
            _write(empty, student.chat, folder, base)
        except _failures() as error:
            raise refused_save(out, error) from None
        try:
            _read(empty, student, folder)
        except _failures() as error:
            msg = f"base: {base.name}: a student of it could be saved, but not loaded again: "
            msg += f"{first_line(error)}; next: another base:, or other options in lora:"
            raise UserError(msg) from None


def _failures() -> tuple[type[Exception], ...]:
    """What the libraries raise when they cannot write or read a model."""
    from huggingface_hub.errors import StrictDataclassError
    from jinja2 import TemplateError
    from safetensors import SafetensorError

    plain = (OSError, ValueError, TypeError, RuntimeError, LookupError, AttributeError, ImportError)
    return (*plain, SafetensorError, StrictDataclassError, TemplateError)


@contextmanager
def _workplace(place: Path) -> Iterator[Path]:
    """A temporary folder in ``place``; those of processes that were killed are removed."""
    for old in place.glob(f"{PREFIX}*"):
        owner = old.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    try:
        folder = tempfile.TemporaryDirectory(dir=place, prefix=f"{PREFIX}{os.getpid()}-")
    except OSError as error:
        msg = f"{place}: cannot be written to: {error.strerror}"
        raise UserError(msg) from None
    with folder as name:
        yield Path(name)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _write(student: Any, chat: ChatFormat, folder: Path, base: Model) -> None:
    if hasattr(student, "peft_config"):
        _fill(student)
        student.save_pretrained(folder)
    elif student_bytes(student) <= SMALL:
        student.to_empty(device="cpu")
        student.tie_weights()
        student.save_pretrained(folder)
    else:
        student.config.architectures = [type(student).__name__]
        student.config.save_pretrained(folder)
    complete(folder, student, chat, base=base.name)


def _fill(student: Any) -> None:
    """Gives zeros to every weight that an adapter's file holds."""
    import torch
    from peft import get_peft_model_state_dict

    def fill(fits: Callable[[Any], bool]) -> None:
        for module in student.modules():
            for name, weight in module.named_parameters(recurse=False):
                if weight.is_meta and fits(weight):
                    zeros = torch.zeros(weight.shape, dtype=weight.dtype)
                    setattr(module, name, torch.nn.Parameter(zeros, weight.requires_grad))

    fill(lambda weight: weight.requires_grad)
    # with the embeddings as a target, peft stores the base's as well
    kept = [one.shape for one in get_peft_model_state_dict(student).values() if one.is_meta]
    if kept:
        fill(lambda weight: weight.shape in kept)


def _read(empty: Any, student: Student, folder: Path) -> None:
    from peft import get_peft_model_state_dict
    from transformers import AutoTokenizer, GenerationConfig

    data = {"trust_remote_code": False, "local_files_only": True}
    if student.options.lora:
        wanted = _shapes(get_peft_model_state_dict(empty))
        _compare(wanted, _loaded_adapter(folder, student.start.base, student.options))
    else:
        _compare(_shapes(empty.state_dict()), _loaded_whole(folder, data))
    stops = GenerationConfig.from_pretrained(folder).eos_token_id
    if stops != empty.generation_config.eos_token_id:
        msg = f"it would stop at {stops}"
        raise ValueError(msg)
    _same_words(student.chat, AutoTokenizer.from_pretrained(folder, **data))


def _same_words(chat: ChatFormat, again: Any) -> None:
    for turns in TURNS[: 1 if _refuses_system(chat) else 2]:
        prompt = chat.prompt(turns)
        ids = [one(prompt)["input_ids"] for one in (chat.tokenizer, again)]
        if replace(chat, tokenizer=again).prompt(turns) != prompt or ids[0] != ids[1]:
            msg = "its tokenizer or chat template changes when it is saved"
            raise ValueError(msg)


def _refuses_system(chat: ChatFormat) -> bool:
    try:
        chat.prompt(TURNS[1])
    except FAULTS:
        return True
    return False


def _loaded_adapter(folder: Path, base: Model, options: Options) -> dict[str, tuple[int, ...]]:
    """The shapes in an adapter's file, after peft has taken all of it."""
    from peft import PeftModel
    from safetensors.torch import load_file

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys")
        PeftModel.from_pretrained(base_twin(base, options), folder)
    return _shapes(load_file(folder / ADAPTER_WEIGHTS))


def _loaded_whole(folder: Path, data: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if any(folder.glob("*.safetensors")):
        again, said = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **data
        )
        if wrong := {key: found for key, found in said.items() if found}:
            raise ValueError(str(wrong))
    else:
        with torch.device("meta"):
            again = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, **data))
    return _shapes(again.state_dict())


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _compare(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    other = sorted(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
    if other:
        msg = f"{other[0]} is {found.get(other[0])} instead of {wanted.get(other[0])}"
        raise ValueError(msg)
