"""One optimizer step by our trainer, and the same by transformers alone, document by document."""

from pathlib import Path
from typing import Any

import torch
import transformers

from distill.recipes.students import StudentRecipe
from distill.training.base import open_chat_format
from distill.training.fit import arguments, build_trainer
from distill.training.options import checked
from distill.training.quiet import quiet
from distill.training.store import Store
from distill.training.tokens import MASKED
from tests.builders.models import tokenizer_files

LORA = {"r": 4, "lora_alpha": 32, "target_modules": "all-linear"}
SIZES = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, {"tie_word_embeddings": False}),
    "qwen2": (transformers.Qwen2Config, {"tie_word_embeddings": True}),
    "mistral": (transformers.MistralConfig, {"sliding_window": 16}),  # shorter than documents
    "mixtral": (transformers.MixtralConfig, {"num_local_experts": 4}),
}


def base_of(kind: str, folder: Path) -> str:
    """A random model of that kind, with a tokenizer."""
    config, more = KINDS[kind]
    tokenizer_files(folder, "composing")
    torch.manual_seed(0)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_config(config(**SIZES, **more))
        model.save_pretrained(folder)
    return str(folder)


def trainer_of(
    base: str, examples: Store, folder: Path, *, lora: dict[str, Any] | None, **sft: Any
) -> Any:
    """A trainer of all examples in one step, which changes nothing."""
    recipe = StudentRecipe(
        base=base,
        lora=lora,
        sft={
            "max_steps": 1,
            "gradient_checkpointing": False,
            "per_device_train_batch_size": 6,
            "max_grad_norm": 0.0,
            "learning_rate": 0.0,
            **sft,
        },
    )
    options = checked(recipe, folder / "s.yaml")
    with quiet():
        told, chat = arguments(options, folder), open_chat_format(base)
        made = build_trainer(base, options, chat, examples, arguments=told)
    if lora:
        torch.manual_seed(2)
        with torch.no_grad():  # an adapter starts as nothing, and would have no gradient in A
            for name, weight in sorted(made.model.named_parameters()):
                if "lora_B" in name or "lora_embedding_A" in name:
                    weight.copy_(torch.randn(weight.shape) * 0.05)
    return made


def one_step(trainer: Any) -> tuple[float, dict[str, Any]]:
    """The loss of a step over all examples, and its gradients."""
    found: dict[str, Any] = {}

    class Gradients(transformers.TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            named = model.named_parameters()
            found.update({n: p.grad.clone() for n, p in named if p.grad is not None})

    trainer.add_callback(Gradients())
    with quiet():
        trainer.train()
    return trainer.state.log_history[0]["loss"], found


def expected(examples: Store, trainer: Any) -> tuple[float, dict[str, Any]]:
    """The same by transformers alone: each document apart, a mean over all trained tokens.

    Each token counts as much as its example's weight says.
    """
    model, total, count = trainer.model, torch.zeros(()), 0.0
    model.zero_grad()
    now = model.config._attn_implementation
    model.set_attn_implementation("eager")
    for row in examples.dataset():
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])[1:]
        logits = model(input_ids=ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        weight = row.get("weights", 1.0)
        total, count = total + weight * loss, count + weight * int((labels != MASKED).sum())
    (total / count).backward()
    model.set_attn_implementation(now)
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return float(total.detach() / count), grads
