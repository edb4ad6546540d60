"""Merges a LoRA adapter into its base, and checks that the whole model answers as the adapter does.

``python -m distill.local_models.merge ADAPTER FOLDER`` runs in its own process, so that torch's
memory, warnings and progress bars end with it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.local_models.allowed import ADAPTER, ADAPTER_WEIGHTS
from distill.local_models.bits import import_bitsandbytes
from distill.local_models.folder import parsed
from distill.local_models.generation import GENERATION, savable, stop_at, stored
from distill.local_models.open import OR_ADAPTER, Model, open_model

CHECKED = "merge.json"  # what was compared, and how far apart it was
QUESTIONS = (
    "What is 17 * 23?",
    "Write a Python function that reverses a string.",
    "¿Cuántos números primos hay menores que 100?",
)
MOST_TOKENS = 64  # of those that the adapter trained by themselves: so many are compared
# How far apart two logits of a token may be, as a share of the distance from the smallest to the
# largest logit. Summed in float32 they were at most 2e-5 apart, for 24 kinds of adapters.
SUM = 1e-3
# Rounding the weights to the base's dtype: at most 0.1 in bfloat16, for random adapters that turn a
# random model over; trained ones are far below. It catches what is too large for float16.
ROUNDED = 0.25


def merge(adapter: Path, folder: Path) -> None:
    """Writes base + adapter into ``folder``, in the base's dtype, with the adapter's tokenizer.

    The base is the one that the adapter names, in its own precision, also if the adapter was
    trained on a copy of it in 4 bits. The sum is computed in float32, because bfloat16 would round
    small updates away. What was compared goes into merge.json.

    Raises:
        UserError: the whole model does not answer as the adapter does.
    """
    import_bitsandbytes()
    import torch
    from transformers import AutoModelForCausalLM

    student = open_model(str(adapter), at="adapter", needed=OR_ADAPTER).with_weights()
    base = student.base or student
    tokenizer = _tokenizer(student, base)
    probes = _probes(tokenizer, _trained_tokens(adapter))
    tuned, dtype = _tuned(student, base, tokenizer)
    wanted = _logits(tuned, probes)
    whole = _merged(tuned)
    apart = {"float32": _apart(wanted, _logits(whole, probes), student.name, SUM)}
    _endings(whole, student, base, tokenizer)
    _convert(whole, dtype)
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    name = str(dtype).removeprefix("torch.")
    _convert(whole, torch.float32)
    rounded = _logits(whole, probes)
    apart[name] = _apart(wanted, rounded, student.name, ROUNDED)
    del whole, tuned
    again = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    apart["loaded"] = _apart(rounded, _logits(again, probes), student.name, SUM)
    (folder / CHECKED).write_text(json.dumps({"dtype": name, "largest_difference": apart}))


def _tokenizer(student: Model, base: Model) -> Any:
    from transformers import AutoTokenizer

    own = student if (student.folder / "tokenizer_config.json").is_file() else base
    return AutoTokenizer.from_pretrained(own.source, **own.options)


def _tuned(student: Model, base: Model, tokenizer: Any) -> tuple[Any, Any]:
    """The adapter on its base in float32, and the base's own dtype."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base.source, **base.options)
    model = AutoModelForCausalLM.from_pretrained(
        base.source,
        dtype=torch.float32,
        use_safetensors=True,
        generation_config=savable(stored(base.folder), of=base.name),
        **base.options,
    )
    if getattr(config, "quantization_config", None):
        model = model.dequantize().to(torch.float32)
    rows = _rows(student.folder, model) or len(tokenizer)
    if rows > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(rows, mean_resizing=False)
    tuned = PeftModel.from_pretrained(model, str(student.folder)).eval()
    return tuned, config.dtype or torch.bfloat16


def _rows(adapter: Path, model: Any) -> int | None:
    """How many tokens the embeddings have that an adapter brings; None if it brings none."""
    from safetensors import safe_open

    layers = model.get_input_embeddings(), model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if module in layers]
    ends = tuple(f".{name}.weight" for name in names)
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        brought = [key for key in file.keys() if key.endswith(ends)]  # noqa: SIM118 - no dict
        return max((file.get_slice(key).get_shape()[0] for key in brought), default=None)


def _merged(tuned: Any) -> Any:
    """The whole model. Its input and output embeddings stay one only if they are still equal."""
    import torch

    tied = tuned.get_base_model().config.tie_word_embeddings
    _untie(tuned)
    whole = tuned.merge_and_unload(safe_merge=True)
    head, first = whole.get_output_embeddings(), whole.get_input_embeddings()
    tied = tied and head is not None and torch.equal(first.weight, head.weight)
    if tied:
        head.weight = first.weight
    whole.config.tie_word_embeddings = tied  # peft says no as soon as they are two tensors
    return whole


def _convert(model: Any, dtype: Any) -> None:
    """Changes the weights alone: rotary frequencies are never stored, and bfloat16 spoils them."""
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)


def _untie(model: Any) -> None:
    """Gives each layer its own copy of a weight that several share.

    Else adding to the embeddings of a model that ties them would add to its head as well.
    """
    import torch

    seen: set[int] = set()
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) in seen:
                setattr(module, name, torch.nn.Parameter(weight.detach().clone(), False))
            seen.add(id(weight))


def _endings(whole: Any, student: Model, base: Model, tokenizer: Any) -> None:
    """Makes the whole model stop and sample as the student does."""
    own = student if (student.folder / GENERATION).is_file() else base
    config = savable(stored(own.folder), of=own.name)
    pad = tokenizer.pad_token_id
    whole.generation_config = stop_at(config, [tokenizer.eos_token_id], pad=pad)
    whole.config.get_text_config().eos_token_id = whole.generation_config.eos_token_id


def _trained_tokens(adapter: Path) -> list[int]:
    found = parsed(adapter / ADAPTER).get("trainable_token_indices") or []
    lists = found.values() if isinstance(found, dict) else [found]
    return [int(one) for each in lists for one in each][:MOST_TOKENS]


def _probes(tokenizer: Any, trained: Sequence[int]) -> list[list[int]]:
    """Prompts as the student will get them, as token ids."""
    found = [[int(one) for one in trained]] if trained else []
    for question in QUESTIONS:
        text = question
        if tokenizer.chat_template:
            turns = [{"role": "user", "content": question}]
            text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        found.append(tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"])
    return found


def _logits(model: Any, probes: Sequence[Sequence[int]]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(input_ids=torch.tensor([ids])).logits[0].float() for ids in probes]


def _apart(wanted: Sequence[Any], found: Sequence[Any], name: str, most: float) -> float:
    """The largest difference, as a share of the logits' own range."""
    shares = [
        float((a - b).abs().max() / (a.max() - a.min())) for a, b in zip(wanted, found, strict=True)
    ]
    worst = max(shares)
    if not worst <= most:  # nan too
        msg = (
            f"{name}: merged into its base it answers differently: logits differ by "
            f"{worst:.3g} of their range, more than {most:g}; next: load it with peft, unmerged"
        )
        raise UserError(msg)
    return worst


if __name__ == "__main__":
    try:
        merge(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(str(error))
