"""One run folder: its ledger is brought up to the recipe, asked to the end, exported to traces/.

Does not choose the teacher: the caller says who is asked and how to reach it. Generating and
evaluating are both this.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.asking import Bell, Outcome, ask_all
from distill.budget import Budget, most_prompt_tokens, worst_usd
from distill.chat import renderer, template_text
from distill.errors import Interrupted, UserError
from distill.export import export_traces, refuse_foreign
from distill.files.done import fingerprint
from distill.files.lock import folder_lock
from distill.ledger import Ledger
from distill.plan import Plan
from distill.progress import progress
from distill.recipes.load import Loaded
from distill.recipes.prompts import Price, PromptsRecipe
from distill.rows import Problem
from distill.teachers.endpoint import Endpoint

log = logging.getLogger("distill")
Reach = Callable[[], AbstractContextManager[Endpoint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is still to be asked, before it is."""

    requests: int
    prompt_tokens: int  # estimated
    worst_tokens: int  # prompts at their bound and every answer at max_tokens
    worst_usd: float | None  # None: the recipe has no price


def make_plan(loaded: Loaded[PromptsRecipe], who: str) -> Plan:
    """The plan of a recipe: its template, sampling and number of samples, and who is asked."""
    recipe = loaded.recipe
    text = template_text(recipe.template, loaded.path)
    render = renderer(text, f"{loaded.path}: template {recipe.template}")
    return Plan(
        who=who, render=render, template=text, sampling=recipe.sampling, samples=recipe.samples
    )


def carry_out(
    loaded: Loaded[PromptsRecipe],
    plan: Plan,
    problems: Sequence[Problem],
    out: Path,
    *,
    reach: Reach,
    limit: int | None = None,
    budget_usd: float | None = None,
    force: bool = False,
) -> Outcome:
    """Asks what is missing and exports the traces, unless interrupted.

    Args:
        loaded: the recipe.
        plan: made from it by ``make_plan``.
        problems: read from it by ``read_problems``.
        out: the run folder; created, and held for this process.
        reach: opens the way to the teacher; called only when something is to be asked.
        limit: at most that many problems, from the start of the set.
        budget_usd: the most that the whole run may cost, earlier passes counted in.
        force: go on in a folder of another plan, and ask again what had failed for good.

    Raises:
        UserError: before the first request: recipe, folder or key unusable.
    """
    _refuse_blind_budget(loaded, budget_usd)
    refuse_foreign(out / "traces")
    with folder_lock(out):
        ledger = Ledger(out / "ledger.sqlite")
        try:
            _settle_plan(ledger, plan, out, force=force)
            _put(ledger, problems)
            count = len(problems) if limit is None else min(limit, len(problems))
            ledger.set_meta("wanted", {"problems": count, "samples": plan.samples})
            outcome = _ask(ledger, plan, count, reach, budget_usd, force)
            if not isinstance(outcome.stopped, Interrupted):
                export_traces(ledger, out / "traces", plan=plan.digest, render=plan.render)
            return outcome
        finally:
            ledger.close()


def forecast(
    loaded: Loaded[PromptsRecipe], plan: Plan, problems: Sequence[Problem], out: Path
) -> Forecast:
    """What ``carry_out`` would ask, without creating ``out`` or asking."""
    closed = _closed(out / "ledger.sqlite", plan)
    asked = [
        plan.render(problem.question)
        for problem in problems
        for sample in range(plan.samples)
        if (problem.id, sample) not in closed
    ]
    price, limit_tokens = price_of(loaded), plan.sampling.max_tokens
    chars = sum(len(m.content) for turns in asked for m in turns)
    return Forecast(
        requests=len(asked),
        prompt_tokens=round(chars / CHARS_PER_TOKEN),
        worst_tokens=sum(most_prompt_tokens(m) for m in asked) + len(asked) * limit_tokens,
        worst_usd=None if price is None else sum(worst_usd(price, m, limit_tokens) for m in asked),
    )


def _closed(path: Path, plan: Plan) -> set[tuple[str, int]]:
    if not path.exists():
        return set()
    ledger = Ledger(path, read_only=True)
    try:
        return ledger.closed(plan=plan.digest, max_tokens=plan.sampling.max_tokens)
    finally:
        ledger.close()


# English word problems under the Qwen2.5 and SmolLM2 tokenizers: 4.0-4.4 characters a token.
CHARS_PER_TOKEN = 4.0


def price_of(loaded: Loaded[PromptsRecipe]) -> Price | None:
    """The price table of a recipe's teacher; None for a model served here, or where not given."""
    return loaded.recipe.teacher.price if loaded.recipe.teacher else None


def _refuse_blind_budget(loaded: Loaded[PromptsRecipe], budget_usd: float | None) -> None:
    if budget_usd is not None and loaded.recipe.teacher and price_of(loaded) is None:
        msg = f"{loaded.path}: teacher.price: missing, so --budget-usd cannot be kept; add it"
        raise UserError(msg)


def _settle_plan(ledger: Ledger, plan: Plan, out: Path, *, force: bool) -> None:
    """Records the plan of a new folder; refuses to mix two plans unless forced."""
    before: Any = ledger.meta("plan")
    now = plan.values()
    if before is not None and before != now and ledger.totals()[0] and not force:
        changed = next(k for k in now if before.get(k) != now[k])
        shown = "" if changed == "template" else f" ({before.get(changed)} → {now[changed]})"
        msg = (
            f"{out}: holds answers to another plan: {changed} changed{shown}; choose another -o, "
            "or --force to ask everything again here (old answers stay in the ledger)"
        )
        raise UserError(msg)
    ledger.set_meta("plan", now)


def _put(ledger: Ledger, problems: Sequence[Problem]) -> None:
    digest = fingerprint(
        problems=[(p.id, p.question, p.gold, p.verify, p.domain, p.source) for p in problems]
    )
    ledger.put_problems(problems, digest)


def _ask(
    ledger: Ledger, plan: Plan, count: int, reach: Reach, budget_usd: float | None, force: bool
) -> Outcome:
    def asks() -> Any:
        return ledger.open_asks(
            plan=plan.digest,
            samples=plan.samples,
            max_tokens=plan.sampling.max_tokens,
            limit=count,
            again=force,
        )

    open_now = sum(1 for _ in asks())
    if not open_now:
        log.info("nothing to ask: every request has ended")
        return _with_failed(Outcome(), ledger, plan, count)
    log.info("asking %d of %d requests", open_now, count * plan.samples)
    budget = Budget(cap_usd=budget_usd, spent_usd=ledger.spent_usd())
    bell = Bell()
    with reach() as endpoint, progress("generate", open_now) as shown:
        asking = ask_all(asks(), plan, endpoint, ledger, budget, shown, bell)
        return _with_failed(_complete(asking, bell), ledger, plan, count)


def _with_failed(outcome: Outcome, ledger: Ledger, plan: Plan, count: int) -> Outcome:
    """Counts what had failed for good in earlier passes too: it is still without an answer."""
    states = ledger.states(plan=plan.digest, problems=count, samples=plan.samples)
    outcome.failed = states.get("failed", 0) + states.get("quarantined", 0)
    return outcome


def _complete(asking: Coroutine[Any, Any, Outcome], bell: Bell) -> Outcome:
    """Runs to the end, also under a loop that runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking)
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(asyncio.run, asking)
        while True:
            try:
                return outcome.result()
            except KeyboardInterrupt:
                bell.ring()
