"""The students recipe: which base model to train, and how. Does not load or train it."""

from typing import Any, Literal

from distill.recipes.strict import Strict


class StudentRecipe(Strict):
    """A whole students recipe; ``lora`` and ``sft`` go to peft and trl as they are, where safe."""

    base: str  # Hub id, folder, or a shipped name such as smollm2-135m-instruct
    quantize: Literal["nf4"] | None = None
    chat_template: str | None = None  # a .jinja beside the recipe; None: the base's own
    # Which turns the student is asked: all of them, or the last user turn alone (for traces
    # that were bought with worked examples in front of the question).
    prompt: Literal["conversation", "last_user"] = "conversation"
    # peft.LoraConfig and trl.SFTConfig, as far as recipes.lora and recipes.sft know them as safe
    lora: dict[str, Any] | None = None  # None: full fine-tuning
    sft: dict[str, Any] = {}
