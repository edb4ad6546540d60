"""The prompts recipe: which problems to ask, whom, and how. Does not read the problems."""

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from distill.recipes.strict import Strict
from distill.rows import Domain

Engine = Literal["llama.cpp", "vllm", "sglang", "transformers"]
# Not judge, code or choice yet: a recipe may only ask for a check that exists.
Verify = Literal["math", "exact", "reasoning_gym"]
SOURCES = ("file", "dataset", "reasoning_gym")
# What distill says itself, or what would make a reply other than one whole bounded answer.
RESERVED = (
    "n",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "model",
    "messages",
)


class GymTask(Strict):
    """One procedural generator of reasoning-gym, with all that is needed to make its set again."""

    name: str
    size: Annotated[int, Field(ge=1)]  # problems
    seed: Annotated[int, Field(ge=0)]
    options: dict[str, Any] = {}  # the generator's own, as is


class Problems(Strict):
    """Where the questions come from: exactly one of file, dataset, reasoning_gym."""

    file: str | None = None  # JSONL(.gz, .zst), Parquet or CSV; beside the recipe or as given
    dataset: str | None = None  # a Hub id
    config: str | None = None  # of the Hub data set
    split: str = "train"
    reasoning_gym: tuple[GymTask, ...] | None = None
    sha256: str | None = (
        None  # of the generated questions and golds: a changed generator is noticed
    )
    map: dict[Literal["id", "question", "gold"], str] = {}  # polars SQL over the source's columns
    where: str | None = None  # polars SQL
    source: str | None = None  # what rows say they come from; part of their id

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            msg = f"give exactly one of {', '.join(SOURCES)}; found {found}"
            raise ValueError(msg)
        return self


class Price(Strict):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None  # None: the same as input
    output: Annotated[float, Field(ge=0)]


class Teacher(Strict):
    """An OpenAI-compatible chat endpoint that is already running."""

    model: str
    base_url: str
    key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64  # requests in flight
    timeout_s: Annotated[float, Field(gt=0)] = 1800.0  # whole request, not per read
    price: Price | None = None  # None: cost unknown

    @field_validator("base_url")
    @classmethod
    def _plain_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = "must be an http:// or https:// address"
            raise ValueError(msg)
        if parts.username or parts.password:
            msg = "must not hold a user or password; name the key's variable in key_env"
            raise ValueError(msg)
        if parts.query or parts.fragment:  # where keys are put, too
            msg = "must end with the path, without ?… or #…"
            raise ValueError(msg)
        return url


class Serve(Strict):
    """A model that distill serves itself, as a child process on a loopback port."""

    engine: Engine = "llama.cpp"
    model: str | None = None  # a shipped name, a GGUF file, a Hugging Face folder or Hub id
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8  # slots of the server
    context: Annotated[int, Field(ge=256)] = 2048  # tokens a slot, prompt and answer together
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    start_timeout_s: Annotated[float, Field(gt=0)] = 300.0
    args: tuple[str, ...] = ()  # further arguments of vllm, sglang or transformers, as is


class Sampling(Strict):
    """What goes into the request beside model and messages, under the chat API's own names."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.6  # R1 model card: 0.5-0.7
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 0.95  # R1 paper v1, section 3
    max_tokens: Annotated[int, Field(ge=1)] = 16_384  # explicit: servers' defaults cut traces
    seed: int | None = None  # every answer's own seed is derived from it; servers may ignore it
    extra_body: dict[str, Any] = {}  # an endpoint's own switches, as is; none of RESERVED

    @field_validator("extra_body")
    @classmethod
    def _only_switches(cls, body: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in RESERVED if name in body]:
            msg = (
                f"must not hold {', '.join(taken)}: replies are read whole and one at a time, and "
                "budgets count on sampling.max_tokens; use sampling, samples or teacher instead"
            )
            raise ValueError(msg)
        return body


class PromptsRecipe(Strict):
    """A whole prompts recipe."""

    problems: Problems
    domain: Domain = "math"
    verify: Verify | None = "math"
    template: str = "math.jinja"  # beside the recipe, or shipped
    teacher: Teacher | None = None
    serve: Serve | None = None
    sampling: Sampling = Sampling()
    samples: Annotated[int, Field(ge=1, le=1024)] = 1  # answers a problem

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if (self.teacher is None) == (self.serve is None):
            msg = "give exactly one of teacher (an endpoint) and serve (a model run here)"
            raise ValueError(msg)
        return self
