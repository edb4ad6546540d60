"""What a run would still ask, what it should cost and how long it should take.

The worst case is a true bound. The expectation rests on the run's own answers so far or, before
there are any, on the assumptions below.
"""

import operator
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from distill.generating.budget import MILLION, most_prompt_tokens, worst_usd
from distill.generating.plan import RequestPlan
from distill.generating.prepare import Job
from distill.ledger import Ledger, sums
from distill.ledger.explain import translate_sqlite_errors
from distill.recipes.load import Loaded
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Price
from distill.rows import Problem

# English word problems under the Qwen2.5 and SmolLM2 tokenizers: 4.0-4.4 characters a token.
CHARS_PER_TOKEN = 4.0
# Mean tokens of R1's own answers (DeepSeek-R1 v2, Table 5).
R1_TOKENS = {"math": 6094, "code": 7436, "stem": 4929, "logic": 2739, "general": 1420}
# One stream of a hosted reasoning model; an assumption, between vendors' slow and fast hours.
TOKENS_PER_S = 30.0
LOOKED_AT = 1_000  # prompts that are rendered to learn how long they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is still to be asked, before it is."""

    requests: int  # at most; fewer where asking stops at enough right answers
    prompt_tokens: int  # expected, all requests together
    completion_tokens: int  # expected
    worst_tokens: int  # prompts at their bound, answers at their limit, all second tries made
    expected_usd: float | None  # None: a price is unknown
    worst_usd: float | None
    hours: float  # at the recipe's concurrency
    grounds: str  # what the expectation rests on


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The answer that is expected."""

    tokens: float
    took_s: float
    grounds: str


def forecast(job: Job) -> Forecast:
    """What a run would ask; creates nothing and asks nothing.

    Answers to another plan do not count; nor, with ``job.force``, what had failed for good.

    Raises:
        UserError: the set is unusable, a prompt cannot be rendered, or the ledger cannot be read.
    """
    loaded, plan = job.loaded, job.plan
    left, seen = _left(job)
    requests = sum(count for _, count in left)
    chars, bound = _lengths(plan, [problem for problem, _ in left])
    bound, limit_tokens = _at_worst(plan, bound)
    mean = seen or _assumed(loaded, plan)
    answer = min(mean.tokens, limit_tokens)
    prices = _prices(loaded)
    at_once = _concurrency(loaded)
    prompt = chars / CHARS_PER_TOKEN
    expected = [(prompt * p.input + answer * p.output) / MILLION for p in prices or ()]
    worst = [_worst(p, bound, limit_tokens) for p in prices or ()]
    return Forecast(
        requests=requests,
        prompt_tokens=round(requests * prompt),
        completion_tokens=round(requests * answer),
        worst_tokens=round(requests * (bound + limit_tokens)),
        expected_usd=None if prices is None else requests * _mean(expected, loaded),
        worst_usd=None if prices is None else requests * max(worst, default=0.0),
        hours=requests / at_once * mean.took_s / 3600,
        grounds=mean.grounds,
    )


def _left(job: Job) -> tuple[list[tuple[Problem, int]], Mean | None]:
    """(open problems, each with how many answers it lacks; the mean answer so far, if any)."""
    plan, path = job.plan, job.out / "ledger.sqlite"
    asked = job.problems.first(job.limit)
    if not path.exists():
        return [(problem, plan.samples) for problem in asked], None
    with translate_sqlite_errors(path), closing(Ledger(path, read_only=True)) as ledger:
        closed = _closed(ledger, plan, job.problems.digest, again=job.force)
        found = ((problem, plan.samples - closed(problem)) for problem in asked)
        left = [(problem, count) for problem, count in found if count > 0]
        answers, tokens, took_s = sums.mean_answer(ledger, plan=plan.digest)
        grounds = f"the {answers:,} answers so far"
        return left, Mean(tokens=tokens, took_s=took_s, grounds=grounds) if answers else None


def _closed(
    ledger: Ledger, plan: RequestPlan, digest: str, *, again: bool
) -> Callable[[Problem], int]:
    """How many answers of a problem need no more asking."""
    wants = plan.wants(again=again)
    if ledger.meta("problems") != digest:  # another set: each problem's text is compared
        return partial(sums.closed_of, ledger, wants)
    known = sums.closed(ledger, wants)
    return lambda problem: known.get(problem.id, 0)


def _assumed(loaded: Loaded[PromptsRecipe], plan: RequestPlan) -> Mean:
    tokens = min(R1_TOKENS[loaded.recipe.domain], plan.most_tokens)
    grounds = f"R1's mean answer in {loaded.recipe.domain}, at {TOKENS_PER_S:g} tokens/s each"
    return Mean(tokens=tokens, took_s=tokens / TOKENS_PER_S, grounds=grounds)


def _lengths(plan: RequestPlan, asked: list[Problem]) -> tuple[float, float]:
    """(mean characters, mean bound in tokens) of a prompt, from prompts all over the set."""
    step = max(1, len(asked) // LOOKED_AT)
    rendered = [plan.render(problem) for problem in asked[::step]]
    turns = [[{"role": m.role, "content": m.content} for m in messages] for messages in rendered]
    chars = sum(len(turn["content"]) for prompt in turns for turn in prompt)
    bound = sum(most_prompt_tokens(prompt) for prompt in turns)
    count = max(1, len(turns))
    return chars / count, bound / count


def _at_worst(plan: RequestPlan, prompt: float) -> tuple[float, int]:
    """(prompt tokens, completion tokens) of an answer that is cut and of the second try at it."""
    first, second = plan.sampling.max_tokens, plan.truncated
    if second is None:
        return prompt, first
    if second.continue_tokens is not None:  # what was cut is sent along
        return 2 * prompt + first, first + second.continue_tokens
    return 2 * prompt, first + plan.most_tokens


def _prices(loaded: Loaded[PromptsRecipe]) -> list[Price] | None:
    """The price of every endpoint: empty where the model runs here, None where one is unknown."""
    found = [teacher.price for teacher in loaded.recipe.endpoints]
    known = [price for price in found if price is not None]
    return known if len(known) == len(found) else None


def _mean(usd: list[float], loaded: Loaded[PromptsRecipe]) -> float:
    """Weighted as the endpoints share the requests while all of them work."""
    weights = [teacher.weight for teacher in loaded.recipe.endpoints]
    return sum(map(operator.mul, usd, weights)) / sum(weights) if usd else 0.0


def _worst(price: Price, prompt_tokens: float, max_tokens: int) -> float:
    return worst_usd(price, (), max_tokens) + prompt_tokens * worst_usd(
        Price(input=0, output=max(price.input, price.cached_input or 0), peak=price.peak), (), 1
    )


def _concurrency(loaded: Loaded[PromptsRecipe]) -> int:
    serve = loaded.recipe.serve
    return serve.concurrency if serve else sum(t.concurrency for t in loaded.recipe.endpoints)
