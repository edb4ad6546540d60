"""The card of a student: its base, how it was trained, how to run it, and its scores, if any.

It only says what train.json and scores.json say, and recommends no sampling values.
"""

from collections.abc import Mapping
from typing import Any

from distill.publishing.markdown import cell, code, flat, front_matter, page, recipe, table
from distill.recipes.places import HUB_ID
from distill.verify.isolation import UNSAFE

ASIDE = ("base", "base_model", "recipe", "versions", "fingerprint")  # shown elsewhere, or not shown
SCORES = ("benchmark", "metric", "value", "95 %")
PLOT = "![Loss, tokens per second and learning rate at each step](train.png)"
LIMITS = """\
- It was trained on answers that another model wrote, and repeats that model's mistakes.
- `license: other`: distill does not know which terms apply. Those of the base model and those of \
the teacher of the training data do."""


def student_card(
    train: Mapping[str, Any],
    *,
    repo_id: str,
    adapter: bool,
    scores: Mapping[str, Any] | None = None,
    drawn: bool = False,
) -> str:
    """README.md of a student: ``train`` is its train.json, ``scores`` a scores.json of eval.

    ``adapter`` tells a LoRA adapter from whole weights; ``drawn``, whether train.png is beside it.
    """
    name = repo_id.rpartition("/")[2]
    base = base_of(train)
    on_hub = base is not None and HUB_ID.fullmatch(base) is not None
    meta: dict[str, Any] = {"license": "other"}
    if on_hub:
        meta |= {"base_model": base, "base_model_relation": "adapter" if adapter else "finetune"}
    meta |= {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["reasoning", "distillation", "distill"],
    }
    kind = "A LoRA adapter" if adapter else "A language model"
    facts = {key: value for key, value in train.items() if key not in ASIDE}
    return page(
        front_matter(meta),
        f"# {name}",
        f"{kind}, trained with distill on reasoning traces.",
        "## Use",
        code("python", _usage(repo_id, adapter=adapter, base=base if on_hub else None)),
        *_section("Training", flat({"base": base, **facts} if base else facts)),
        *((PLOT,) if drawn else ()),
        *recipe(train.get("recipe")),
        *_section("Scores", _score_lines(_mapping(scores)), SCORES),
        *_section("Versions", flat(_mapping(train.get("versions")))),
        "## Limits",
        LIMITS,
    )


def base_of(train: Mapping[str, Any]) -> str | None:
    """The base model as train.json names it, at its top or in the recipe; None if nowhere."""
    places = (train, _mapping(train.get("recipe")))
    found = (place.get(key) for place in places for key in ("base_model", "base"))
    return next((value for value in found if isinstance(value, str)), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _usage(repo_id: str, *, adapter: bool, base: str | None) -> str:
    """Code that answers a question; an adapter is loaded on ``base``.

    The generation config is named, because an adapter would otherwise stop where its base does.
    """
    if adapter:
        named = base or "the base model, see below"
        load = (
            "from peft import PeftModel\n"
            "from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig\n\n"
            f'base = AutoModelForCausalLM.from_pretrained("{named}")\n'
            f'model = PeftModel.from_pretrained(base, "{repo_id}")\n'
        )
    else:
        load = (
            "from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig\n\n"
            f'model = AutoModelForCausalLM.from_pretrained("{repo_id}")\n'
        )
    return load + (
        f'tokenizer = AutoTokenizer.from_pretrained("{repo_id}")\n'
        f'config = GenerationConfig.from_pretrained("{repo_id}")  # where it stops\n'
        'messages = [{"role": "user", "content": "What is 17 * 23?"}]\n'
        "prompt = tokenizer.apply_chat_template(\n"
        '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True\n'
        ")\n"
        "answer = model.generate(**prompt, generation_config=config, max_new_tokens=4096)\n"
        "print(tokenizer.decode(answer[0]))"
    )


def _section(
    title: str, lines: list[Any], head: tuple[str, ...] = ("what", "value")
) -> tuple[str, ...]:
    return (f"## {title}", table(head, lines)) if lines else ()


def _score_lines(scores: Mapping[str, Any]) -> list[tuple[str, str, Any, str]]:
    """One line per metric, which is a block with a ``value``, as eval writes it."""
    lines: list[tuple[str, str, Any, str]] = []
    if scores.get(UNSAFE) is True:
        lines.append(("all", UNSAFE, "programs ran without a sandbox", ""))
    for bench, metrics in _mapping(scores.get("benchmarks", scores)).items():
        for metric, found in _mapping(metrics).items():
            value = _mapping(found).get("value")
            if isinstance(value, (int, float)):
                ends = found.get("ci95") or ()
                lines.append((bench, metric, value, " to ".join(map(cell, ends))))
    return lines
