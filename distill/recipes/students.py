"""The students recipe: which base model to train, and how."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from distill.recipes.positions import Positions
from distill.recipes.strict import Strict
from distill.recipes.validation import Validation

# The keys that every recipe's digest holds, set or not. A newer key is only in it when it is set,
# so its default is None.
FIRST = ("base", "quantize", "chat_template", "prompt", "lora", "sft")


class StudentRecipe(Strict):
    """A whole students recipe; ``lora`` and ``sft`` go to peft and trl as they are, if safe."""

    base: str  # Hub id, folder, or a shipped name such as smollm2-135m-instruct
    quantize: Literal["nf4"] | None = None
    chat_template: str | None = None  # a .jinja beside the recipe; None: the base's own
    # The turns that the student sees: all of them, or only the last user turn (for traces that
    # were generated with worked examples before the question).
    prompt: Literal["conversation", "last_user"] = "conversation"
    # The answers that are trained: the last one (None: too), or every one in the conversation.
    turns: Literal["last", "all"] | None = None
    # Thoughts in earlier answers: as the template has them at inference (None: too), there in any
    # case, or taken out before.
    history: Literal["template", "keep", "strip"] | None = None
    # Options of peft.LoraConfig and trl.SFTConfig that recipes.lora and recipes.sft know to be safe
    lora: dict[str, Any] | None = None  # None: full fine-tuning
    sft: dict[str, Any] = {}
    # Sequences of an optimizer step over all devices; batch and accumulation follow. None: as sft:
    # writes them
    traces_per_step: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    positions: Positions | None = None  # None: the base's own context length
    validation: Validation | None = None
    # DATA as given, or its NAME → how often its prompts are trained on in an epoch: 0.5: a half of
    # them; 2.5: all of them twice, a half once more; 0: none. None, and DATA not named: 1
    weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] | None = None
    # optional: a set without any thought is trained on. None: it is an error
    thoughts: Literal["optional"] | None = None
    # Of training on a CPU. None: one for each core that is free, looked at again before each step.
    # About this machine, so in no fingerprint
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(default=None, exclude=True)

    # Minutes from one checkpoint to the next, 0: none; beside those of sft.save_strategy. None: 10,
    # or more where that would take more than a twentieth of the time. Also about this machine
    checkpoint_minutes: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        default=None, exclude=True
    )

    @model_validator(mode="after")
    def _answers_have_questions(self) -> Self:
        if self.turns == "all" and self.prompt == "last_user":
            msg = "turns: all and prompt: last_user exclude each other; keep one of them"
            raise ValueError(msg)
        return self

    @model_serializer(mode="wrap")
    def _without_unset(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out unset keys that older students lack, so that their digests stay valid."""
        values: dict[str, Any] = whole(self)
        return {k: v for k, v in values.items() if v is not None or k in FIRST}
