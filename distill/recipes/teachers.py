"""Who answers: an endpoint that is running, or a model that distill serves.

What a vendor's endpoint needs is in a preset (``presets``), which fills in what a recipe leaves out
of its ``teacher``.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from yarl import URL

from distill.recipes.arguments import wrong_arguments
from distill.recipes.strict import Strict
from distill.recipes.switches import only_switches

Engine = Literal["llama.cpp", "vllm", "sglang", "transformers"]
# How an endpoint continues an answer that was cut, if it can: the cut answer is the last turn of
# the request, and
#   assistant_turn          nothing else is needed (llama.cpp, SGLang with its own template);
#   continue_final_message  that switch of vLLM and SGLang is set;
#   deepseek_prefix         the turn is marked ``prefix`` and its thinking is in reasoning_content.
Continues = Literal["assistant_turn", "continue_final_message", "deepseek_prefix"]
LimitName = Literal["max_tokens", "max_completion_tokens"]
KeyName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]  # of an environment variable
Hour = Annotated[int, Field(ge=0, le=24)]
# One label of a host's name: at most 63 characters (RFC 1035, 2.3.4), 253 in total. Labels with _
# are not standard, but container networks have them.
LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
MOST_HOST = 253


def _plain_http(url: str) -> str:
    if not url.isprintable() or " " in url:
        msg = "must not hold spaces or control characters"
        raise ValueError(msg)
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
    if not _can_be_sent_to(url):
        msg = "no request can be sent there; fix its host or port"
        raise ValueError(msg)
    return url


def _can_be_sent_to(url: str) -> bool:
    """Whether the HTTP client accepts the address, whether or not anything answers there."""
    try:
        port, host = urlsplit(url).port, URL(url).raw_host or ""
    except ValueError:
        return False
    if port == 0:
        return False
    labels = host.removesuffix(".").split(".")
    named = len(host) <= MOST_HOST and all(map(LABEL.fullmatch, labels))
    return named or ":" in host  # an IPv6 address


Address = Annotated[str, AfterValidator(_plain_http)]
# An endpoint's own switches, as they go into the request.
Switches = Annotated[dict[str, Any], AfterValidator(only_switches)]


class Peak(Strict):
    """Hours in which everything costs more; the start and the end of an answer both count."""

    factor: Annotated[float, Field(ge=1)]
    weekdays_utc: tuple[Annotated[int, Field(ge=1, le=7)], ...]  # 1: Monday
    hours_utc: tuple[tuple[Hour, Hour], ...]  # from, to (exclusive), within one day

    @field_validator("hours_utc")
    @classmethod
    def _in_order(cls, hours: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        for start, end in hours:
            if start >= end:
                msg = f"[{start}, {end}] covers no hour; write [{start}, 24] and [0, {end}]"
                raise ValueError(msg)
        return hours

    def covers(self, unix_s: float) -> bool:
        """Whether that moment (seconds since 1970) is in the peak."""
        then = datetime.fromtimestamp(unix_s, tz=UTC)
        hours = any(start <= then.hour < end for start, end in self.hours_utc)
        return hours and then.isoweekday() in self.weekdays_utc


class Price(Strict):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None  # None: the same as input
    output: Annotated[float, Field(ge=0)]
    peak: Peak | None = None


class Teacher(Strict):
    """An OpenAI-compatible chat endpoint that is already running."""

    at: str | None = None  # a preset: fills in what is left out below
    model: str
    base_url: Address
    key_env: KeyName | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64  # most requests in flight
    timeout_s: Annotated[float, Field(gt=0)] = 1800.0  # whole request, not per read
    price: Price | None = None  # None: cost unknown
    limit_name: LimitName = "max_tokens"
    extra_body: Switches = {}  # the endpoint's own switches; sampling.extra_body overrides them
    continues: Continues | None = None  # None: a cut answer cannot be continued there
    ignores: tuple[str, ...] = ()  # sampling settings that it accepts but ignores
    weight: Annotated[float, Field(gt=0)] = 1.0  # its share of the requests among teachers
    # The name that its answers count under. Endpoints with the same name may replace each other,
    # even in a run that has started, and whatever their extra_body: giving thinking on and thinking
    # off one name declares them the same. None: the address, the model and extra_body.
    known_as: str | None = None


class Serve(Strict):
    """A model that distill serves itself, as a child process on a loopback port."""

    engine: Engine = "llama.cpp"
    model: str | None = None  # a shipped name, a GGUF file, a Hugging Face folder or Hub id
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8  # slots of the server
    context: Annotated[int, Field(ge=256)] = 2048  # tokens a slot, prompt and answer together
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    start_timeout_s: Annotated[float, Field(gt=0)] = 300.0
    args: tuple[str, ...] = ()  # further arguments of the engine that are known to be safe
    # None: one for each core that is free. About this machine, so in no fingerprint
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _safe_arguments(self) -> Self:
        if said := wrong_arguments(self.args, engine=self.engine):
            msg = f"args: {said}"
            raise ValueError(msg)
        return self
