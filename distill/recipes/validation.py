"""The validation: block of a students recipe: what is held out, and what its loss decides."""

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from distill.recipes.strict import Strict

Count = Annotated[int, Field(ge=1)]


class Validation(Strict):
    """Prompts that are not trained on; the loss on their answers is measured meanwhile."""

    # One of these three. All answers of a prompt are on the same side.
    share: Annotated[float, Field(gt=0, lt=1)] | None = None  # of the prompts
    prompts: Count | None = None  # so many prompts
    # A file of its own; its prompts are not trained on
    data: Annotated[str, Field(min_length=1)] | None = None

    every_steps: Count | None = None  # None: ten times in the whole training
    # Training stops after so many evaluations in a row without a lower loss. None: never
    patience: Count | None = None
    keep_best: bool = True  # the student is saved as it was at the lowest loss, not at the last

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = {"share": self.share, "prompts": self.prompts, "data": self.data}
        given = [f"{name}: {value}" for name, value in named.items() if value is not None]
        if len(given) > 1:
            msg = f"{' and '.join(given)} exclude each other; keep one of them"
            raise ValueError(msg)
        if not given:
            msg = "needs share:, prompts: or data:, e.g. share: 0.02"
            raise ValueError(msg)
        return self

    @model_serializer(mode="wrap")
    def _without_unset(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out unset keys, so that digests stay valid when the block gains one."""
        values: dict[str, Any] = whole(self)
        return {key: value for key, value in values.items() if value is not None}
