"""The prompts recipe: which problems to ask, who is asked, and how."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from distill.errors import nearest
from distill.recipes.code import check_parts, kind_of
from distill.recipes.places import HUB_ID
from distill.recipes.strict import Strict
from distill.recipes.switches import thinking_tokens
from distill.recipes.teachers import Serve, Switches, Teacher
from distill.rows import Domain

# Checks that distill ships, as in ``verify.kinds``.
SHIPPED = ("math", "choice", "exact", "reasoning_gym", "code", "instructions")
SOURCES = ("file", "dataset", "reasoning_gym", "traces")


def _hub_id(name: str) -> str:
    if HUB_ID.fullmatch(name) is None:
        msg = "is not a data set of the Hub (owner/name); for a file: problems.file"
        raise ValueError(msg)
    return name


HubId = Annotated[str, AfterValidator(_hub_id)]


def _check(name: str) -> str:
    if name not in SHIPPED and check_parts(name) is None:
        msg = f"is not a check; {nearest(name, SHIPPED)}; or your own: my_check.py:grade"
        raise ValueError(msg)
    return name


Verify = Annotated[str, AfterValidator(_check)]


class GymTask(Strict):
    """One procedural generator of reasoning-gym, with all that is needed to repeat its set."""

    name: str
    size: Annotated[int, Field(ge=1)]  # problems
    seed: Annotated[int, Field(ge=0)]
    options: dict[str, Any] = {}  # the generator's own


class Problems(Strict):
    """Where the questions come from: exactly one of file, dataset, reasoning_gym, traces."""

    file: str | None = None  # JSONL(.gz, .zst), Parquet or CSV; beside the recipe or as given
    dataset: HubId | None = None
    config: str | None = None  # of the Hub data set
    split: str = "train"
    reasoning_gym: tuple[GymTask, ...] | None = None
    # A run, or traces in any form that filter reads: each trace becomes a prompt, and the template
    # can use its question, gold, reasoning and response.
    traces: str | None = None
    sha256: str | None = None  # of the generated questions and golds, to notice a changed generator
    # Polars SQL over the source's columns; a list of columns makes a gold that is a JSON object.
    map: dict[Literal["id", "question", "gold"], str | tuple[str, ...]] = {}
    where: str | None = None  # polars SQL
    sample: Annotated[int, Field(ge=1)] | None = None  # so many of the problems, drawn by seed
    seed: int = 0
    keep_uncheckable: bool = False  # also ask problems whose gold fails its own check
    source: str | None = None  # the source that rows name; part of their id

    @model_validator(mode="after")
    def _lists_of_columns(self) -> Self:
        for part, value in self.map.items():
            if not isinstance(value, str) and (part != "gold" or not value):
                msg = f"map.{part}: only a gold may be a list of columns, with at least one"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            msg = f"give exactly one of {', '.join(SOURCES)}; found {found}"
            raise ValueError(msg)
        return self


class Sampling(Strict):
    """What a request holds besides model and messages, under the chat API's own names."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.6  # R1 model card: 0.5-0.7
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 0.95  # R1 paper v1, section 3
    max_tokens: Annotated[int, Field(ge=1)] = 16_384  # explicit: servers' defaults cut traces
    seed: int | None = None  # each answer's seed is derived from it; servers may ignore it
    extra_body: Switches = {}  # an endpoint's own switches, if they are known to be safe


class Until(Strict):
    """Asks a problem until enough of its answers are right, so easy ones stop early."""

    correct: Annotated[int, Field(ge=1, le=1024)]
    at_most: Annotated[int, Field(ge=1, le=1024)]  # answers of one problem

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_most < self.correct:
            msg = f"at_most ({self.at_most}) is less than correct ({self.correct})"
            raise ValueError(msg)
        return self


class Truncated(Strict):
    """What to do, once, about an answer that was cut at max_tokens; exactly one of the two."""

    continue_tokens: Annotated[int, Field(ge=1)] | None = None  # continue where it was cut
    retry_max_tokens: Annotated[int, Field(ge=1)] | None = None  # ask again with a larger limit

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.continue_tokens is None) == (self.retry_max_tokens is None):
            msg = "give exactly one of continue_tokens and retry_max_tokens"
            raise ValueError(msg)
        return self


class PromptsRecipe(Strict):
    """A whole prompts recipe."""

    problems: Problems
    domain: Domain = "math"
    verify: Verify | None = "math"  # or FILE.py:FUNCTION, in a file beside the recipe
    template: str = "math.jinja"  # beside the recipe, or shipped
    teacher: Teacher | None = None
    teachers: tuple[Teacher, ...] | None = None  # several that share the requests
    serve: Serve | None = None
    sampling: Sampling = Sampling()
    samples: Annotated[int, Field(ge=1, le=1024)] = 1  # answers a problem
    until: Until | None = None  # instead of samples
    truncated: Truncated | None = None  # None: a cut answer is kept as it is
    budget_usd: Annotated[float, Field(ge=0)] | None = None  # --budget-usd overrides it
    # With problems.traces: the part of the trace that the answer replaces; None: separate rows.
    becomes: Literal["reasoning", "response"] | None = None

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if sum(given is not None for given in (self.teacher, self.teachers, self.serve)) != 1:
            msg = (
                "give exactly one of teacher (an endpoint), teachers (several) and serve (a model "
                "run here)"
            )
            raise ValueError(msg)
        if self.teachers == ():
            msg = "teachers: is empty"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_number_of_answers(self) -> Self:
        if self.until is not None and "samples" in self.model_fields_set:
            msg = "give samples or until, not both"
            raise ValueError(msg)
        if self.until is not None and self.verify is None:
            msg = "until: needs verify: without a check no answer is right"
            raise ValueError(msg)
        if self.until is not None and self.becomes == "reasoning":
            msg = (
                "until: checks answers, and with becomes: reasoning they are thoughts; use samples"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _whole_repair(self) -> Self:
        larger = self.truncated.retry_max_tokens if self.truncated else None
        if larger is not None and larger <= self.sampling.max_tokens:
            msg = f"truncated.retry_max_tokens: not above sampling.max_tokens ({larger})"
            raise ValueError(msg)
        if self.becomes is not None and self.problems.traces is None:
            msg = "becomes: only traces have a part to replace; give problems.traces"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _bounded_thinking(self) -> Self:
        bodies = [self.sampling.extra_body, *(one.extra_body for one in self.endpoints)]
        longest = max((n for body in bodies for n in thinking_tokens(body)), default=0)
        if longest > self.sampling.max_tokens:
            msg = (
                f"extra_body: {longest} tokens of thinking are more than sampling.max_tokens "
                f"({self.sampling.max_tokens}), which budgets count on; raise that one"
            )
            raise ValueError(msg)
        return self

    @property
    def kind(self) -> str | None:
        """The check as rows store it: without a file's folder."""
        return None if self.verify is None else kind_of(self.verify)

    @property
    def endpoints(self) -> tuple[Teacher, ...]:
        """The endpoints that are asked; none if a model is served here."""
        return (self.teacher,) if self.teacher else self.teachers or ()

    @property
    def at_most(self) -> int:
        """The most answers of one problem."""
        return self.until.at_most if self.until else self.samples
