"""One side of ``bench.train`` in a process of its own: plain trl, padded or packed, or distill.

Every side takes the same traces in one optimizer step from the same weights, so that the losses
before and after it are comparable, whatever the side puts into a batch.
"""

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import peak_mb

SIDES = ("trl, padded 4", "trl, packed", "distill")
PADDED = 4  # traces of a micro-batch
# What distill chooses: one trace at a time here, computed again only where memory is short.
PLANNED = (
    *("per_device_train_batch_size", "gradient_accumulation_steps"),
    "gradient_checkpointing",
)
PROMPT = 0.1  # share of a trace that is its prompt
ADAPTER = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a side is to train."""

    side: str
    model: str  # a folder with weights, tokenizer and chat template
    traces: int  # a step
    longest: int  # tokens
    median: int
    steps: int
    full: bool  # all weights, not an adapter
    seed: int


def lengths(job: Job) -> list[int]:
    """Log-normal, sigma 0.8, cut at both ends."""
    drawn = np.random.default_rng(job.seed).lognormal(np.log(job.median), 0.8, job.traces)
    return np.clip(drawn, 32, job.longest).astype(int).tolist()  # type: ignore[no-any-return]


def rows(job: Job, vocabulary: int) -> list[dict[str, list[int]]]:
    """Random tokens, of which the prompt is masked."""
    draw = np.random.default_rng(job.seed)
    made = []
    for length in lengths(job):
        ids = draw.integers(0, vocabulary, length).tolist()
        prompt = int(length * PROMPT)
        made.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return made


def arguments(job: Job) -> dict[str, Any]:
    """What all sides have in common; trl's defaults, unless time or the network depend on them."""
    import torch

    return {
        "learning_rate": 1e-4,
        "max_steps": job.steps,
        "logging_steps": 1,
        "per_device_train_batch_size": min(PADDED, job.traces),
        "gradient_accumulation_steps": max(1, job.traces // PADDED),
        "bf16": True,
        "gradient_checkpointing": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "seed": job.seed,
    }


def plain(job: Job, folder: str) -> Any:
    """trl as its documentation uses it, the base in bfloat16."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    made = Dataset.from_list(rows(job, _vocabulary(job)))
    given = arguments(job)
    if job.side == "trl, packed":
        from trl.data_utils import pack_dataset

        given |= {"packing": True, "packing_strategy": "bfd", "max_length": job.longest}
        count = len(pack_dataset(made, job.longest, "bfd"))
        given |= {"per_device_train_batch_size": 1, "gradient_accumulation_steps": count}
    else:
        given["max_length"] = None
    dtype = torch.float32 if job.full else torch.bfloat16
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype),
        args=SFTConfig(output_dir=folder, **given),
        train_dataset=made,
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=None if job.full else LoraConfig(**ADAPTER),
    )


def ours(job: Job, folder: str) -> Any:
    """What ``distill train`` builds of the same recipe, without what it chooses itself."""
    from array import array

    from distill.local_models.open import open_model
    from distill.recipes.students import StudentRecipe
    from distill.training.base import open_chat_format
    from distill.training.fit import arguments as as_config
    from distill.training.fit import build_trainer
    from distill.training.fits import apply, plan_here
    from distill.training.options import Options
    from distill.training.plan import Lengths
    from distill.training.store import Store
    from distill.training.tokens import Example

    given = {key: value for key, value in arguments(job).items() if key not in PLANNED}
    lora = None if job.full else dict(ADAPTER)
    options = Options(lora=lora, sft=given)
    recipe = StudentRecipe(base=job.model, lora=lora, sft=given, traces_per_step=job.traces)
    made = Store(folder=Path(folder))
    made.add(
        Example(
            id=str(number),
            sample=0,
            input_ids=array("i", row["input_ids"]),
            prompt_length=row["labels"].count(-100),
        )
        for number, row in enumerate(rows(job, _vocabulary(job)))
    )
    chat = open_chat_format(job.model)
    config = as_config(options, Path(folder))
    base = open_model(job.model, at="base")
    apply(plan_here(recipe, options, base, Lengths.of(made.lengths)), config)
    return build_trainer(job.model, options, chat, made, arguments=config)


def _vocabulary(job: Job) -> int:
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(job.model).vocab_size)


def measured(job: Job) -> dict[str, Any]:
    """CPU and wall seconds of the steps, without the building and the first tokens."""
    import torch
    from transformers import TrainerCallback

    with tempfile.TemporaryDirectory() as folder:
        trainer = (ours if job.side == "distill" else plain)(job, folder)
        _warm(trainer)
        spent: list[tuple[float, float]] = []

        class Watch(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                spent.append((_cpu_s(), time.monotonic()))

            def on_step_end(self, *_: Any, **__: Any) -> None:
                cpu, wall = spent.pop()
                spent.append((_cpu_s() - cpu, time.monotonic() - wall))

        trainer.add_callback(Watch())
        trainer.train()
        gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    return {
        "tokens": sum(lengths(job)) * job.steps,
        "cpu_s": sum(cpu for cpu, _ in spent),
        "wall_s": sum(wall for _, wall in spent),
        "peak_mb": gpu or peak_mb(),
        "losses": losses,
    }


def _warm(trainer: Any) -> None:
    """One product forwards and backwards, so that libraries have loaded what they need."""
    import torch

    tokens = torch.arange(16, device=trainer.model.device)[None]
    with trainer.compute_loss_context_manager():
        trainer.model(input_ids=tokens).logits.sum().backward()
    trainer.model.zero_grad()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    import torch

    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    print(json.dumps(measured(Job(**json.loads(sys.argv[1])))))
