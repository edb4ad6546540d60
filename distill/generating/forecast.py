"""What a run would still ask, what it should cost and how long it should take. Asks nothing.

The bounds are bounds; what is expected rests on the run's own answers so far, or, before there are
any, on the assumptions below.
"""

import operator
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distill.generating.budget import MILLION, most_prompt_tokens, worst_usd
from distill.generating.plan import Plan
from distill.ledger import Ledger, sums
from distill.ledger.explain import translate_sqlite_errors
from distill.problems import ProblemSet
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


def forecast(
    loaded: Loaded[PromptsRecipe],
    plan: Plan,
    problems: ProblemSet,
    out: Path,
    *,
    limit: int | None = None,
    force: bool = False,
) -> Forecast:
    """What ``carry_out`` would ask, without creating ``out`` or asking.

    Answers to another plan do not count; ``force``: nor does what had failed for good.

    Raises:
        UserError: the set is unusable, a prompt cannot be rendered, or the ledger cannot be read.
    """
    left, seen = _left(out / "ledger.sqlite", plan, problems, limit=limit, again=force)
    requests = sum(count for _, count in left)
    chars, bound = _lengths(plan, [problem for problem, _ in left])
    bound, limit_tokens = _at_worst(plan, bound)
    answer, took_s, grounds = seen or _assumed(loaded, plan)
    answer = min(answer, limit_tokens)
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
        hours=requests / at_once * took_s / 3600,
        grounds=grounds,
    )


def _left(
    path: Path, plan: Plan, problems: ProblemSet, *, limit: int | None, again: bool
) -> tuple[list[tuple[Problem, int]], tuple[float, float, str] | None]:
    """(open problems, each with how many answers it lacks; (tokens, seconds, words) of a mean one).

    The second is None where no answer is there yet.
    """
    if not path.exists():
        return [(problem, plan.samples) for problem in problems.first(limit)], None
    with translate_sqlite_errors(path), closing(Ledger(path, read_only=True)) as ledger:
        closed = _closed(ledger, plan, problems.digest, again=again)
        found = ((problem, plan.samples - closed(problem)) for problem in problems.first(limit))
        left = [(problem, count) for problem, count in found if count > 0]
        answers, tokens, took_s = sums.mean_answer(ledger, plan=plan.digest)
        words = f"the {answers:,} answers so far"
        return left, (tokens, took_s, words) if answers else None


def _closed(ledger: Ledger, plan: Plan, digest: str, *, again: bool) -> Callable[[Problem], int]:
    """How many answers of a problem need no more asking."""
    wants: dict[str, Any] = {
        "plan": plan.digest,
        "samples": plan.samples,
        "max_tokens": plan.most_tokens,
        "correct": plan.until.correct if plan.until else None,
        "continues": plan.continues,
        "again": again,
    }
    if ledger.meta("problems") != digest:  # another set: each problem's text is compared
        return partial(sums.closed_of, ledger, **wants)
    known = sums.closed(ledger, **wants)
    return lambda problem: known.get(problem.id, 0)


def _assumed(loaded: Loaded[PromptsRecipe], plan: Plan) -> tuple[float, float, str]:
    tokens = min(R1_TOKENS[loaded.recipe.domain], plan.most_tokens)
    words = f"R1's mean answer in {loaded.recipe.domain}, at {TOKENS_PER_S:g} tokens/s each"
    return tokens, tokens / TOKENS_PER_S, words


def _lengths(plan: Plan, asked: list[Problem]) -> tuple[float, float]:
    """(mean characters, mean bound in tokens) of a prompt, from prompts all over the set."""
    step = max(1, len(asked) // LOOKED_AT)
    rendered = [plan.render(problem) for problem in asked[::step]]
    turns = [[{"role": m.role, "content": m.content} for m in messages] for messages in rendered]
    chars = sum(len(turn["content"]) for prompt in turns for turn in prompt)
    bound = sum(most_prompt_tokens(prompt) for prompt in turns)
    count = max(1, len(turns))
    return chars / count, bound / count


def _at_worst(plan: Plan, prompt: float) -> tuple[float, int]:
    """(prompt tokens, completion tokens) of an answer that is cut and of the second try at it."""
    first, second = plan.sampling.max_tokens, plan.truncated
    if second is None:
        return prompt, first
    if second.continue_tokens is not None:  # what was cut is sent along
        return 2 * prompt + first, first + second.continue_tokens
    return 2 * prompt, first + plan.most_tokens


def _prices(loaded: Loaded[PromptsRecipe]) -> list[Price] | None:
    """Of every endpoint; none where a model is served here, None where one is unknown."""
    found = [teacher.price for teacher in loaded.recipe.endpoints]
    known = [price for price in found if price is not None]
    return known if len(known) == len(found) else None


def _mean(usd: list[float], loaded: Loaded[PromptsRecipe]) -> float:
    """By the endpoints' weights: they share the requests so while all are well."""
    weights = [teacher.weight for teacher in loaded.recipe.endpoints]
    return sum(map(operator.mul, usd, weights)) / sum(weights) if usd else 0.0


def _worst(price: Price, prompt_tokens: float, max_tokens: int) -> float:
    return worst_usd(price, (), max_tokens) + prompt_tokens * worst_usd(
        Price(input=0, output=max(price.input, price.cached_input or 0), peak=price.peak), (), 1
    )


def _concurrency(loaded: Loaded[PromptsRecipe]) -> int:
    serve = loaded.recipe.serve
    return serve.concurrency if serve else sum(t.concurrency for t in loaded.recipe.endpoints)
