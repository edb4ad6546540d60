"""``distill eval``: a benchmark's questions → a student's answers → OUT/scores.json.

The same asking and grading as everywhere; nothing of its own but the scores.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from distill.errors import Exit, UserError
from distill.evaluating.scores import cons_at_k, pass_at_1, pass_at_k
from distill.files.done import fingerprint, is_done
from distill.files.read import frames
from distill.files.write import read_json, write_json
from distill.generating.dispatch import Outcome
from distill.generating.forecast import forecast
from distill.generating.plan import RequestPlan
from distill.generating.reach import reach, who_answers
from distill.generating.run import carry_out, make_plan, refuse_another_plan, refuse_unjailed
from distill.generating.sending import foresay, settle
from distill.problems import ProblemSet, problem_set
from distill.recipes.load import Loaded, load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import SCHEMA
from distill.verify import Item, Verdict, grade_all
from distill.verify.batch import SEVERAL
from distill.verify.isolation import UNSAFE, Isolation

log = logging.getLogger("distill")
# A benchmark has the questions that it has, also those that no check can find right.
KEEP_ALL = "problems.keep_uncheckable=true"


def eval(
    recipe: str,
    *,
    model: str,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    budget_usd: float | None = None,
    dry_run: bool = False,
    force: bool = False,
    yes: bool = False,
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
) -> Exit:
    """Scores a model on a benchmark: a prompts recipe with ``verify``.

    Args:
        recipe: name or path, e.g. ``eval/gsm8k``.
        model: a student's folder, a GGUF file, a Hub id or a shipped name, served here by the
            recipe's engine; or ``http://host/v1#name`` for an endpoint that is running (its key,
            if it wants one, by ``teacher.key_env=NAME`` in ``overrides``).
        out: folder of scores.json, the ledger and the traces.
        overrides: ``key.path=value`` for values of the recipe.
        limit: at most that many questions.
        budget_usd: the most that it may cost.
        dry_run: say what would be asked; write and ask nothing.
        force: replace scores of another model or recipe.
        yes: as in ``generate``.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail; scores say so.
        paranoid: a fresh jail for every program.

    Returns:
        ``DONE``, or ``ROWS_FAILED`` when some questions have no answer (they count as wrong; those
        that were not refused for good are asked again by the same command).

    Raises:
        UserError, StoppedError, BudgetReached, Interrupted: see ``distill.errors``.
    """
    loaded = load(recipe, PromptsRecipe, [*overrides, KEEP_ALL, *_serve(model)])
    isolation = Isolation(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    _refuse_no_benchmark(loaded)
    refuse_unjailed(loaded.recipe, isolation, graded=True)
    folder, plan = Path(out), make_plan(loaded, who_answers(loaded), isolation=isolation)
    problems = problem_set(loaded, isolation=isolation)
    if dry_run:
        return _say_ahead(loaded, plan, problems, folder, limit=limit, force=force)
    wanted = _wanted(loaded, plan, limit)
    if is_done(folder / "scores.json", wanted, force=force):
        log.info("already done: %s", folder / "scores.json")
        return Exit.DONE
    settle(loaded, yes=yes)
    way = partial(reach, loaded, log_file=folder / "server.log")
    ask = partial(carry_out, loaded, plan, problems, folder, reach=way, graded=True)
    outcome = ask(limit=limit, budget_usd=budget_usd, force=force)
    if outcome.stopped is not None:
        raise outcome.stopped
    ids = [problem.id for problem in problems.first(limit)]
    whole = None if outcome.unanswered else wanted  # an outage is no property of the model
    _write_scores(loaded, folder, ids, model=model, whole=whole, isolation=isolation)
    return _tell(outcome)


def _say_ahead(
    loaded: Loaded[PromptsRecipe],
    plan: RequestPlan,
    problems: ProblemSet,
    folder: Path,
    *,
    limit: int | None,
    force: bool,
) -> Exit:
    foresay(loaded)
    if not force:
        refuse_another_plan(folder, plan)
    ahead = forecast(loaded, plan, problems, folder, limit=limit, force=force)
    log.info("would ask %d requests, about %d tokens", ahead.requests, ahead.prompt_tokens)
    return Exit.DONE


def _wanted(loaded: Loaded[PromptsRecipe], plan: RequestPlan, limit: int | None) -> str:
    recipe = loaded.recipe.model_dump(mode="json")
    return fingerprint(plan=plan.values(), recipe=recipe, limit=limit)


def _refuse_no_benchmark(loaded: Loaded[PromptsRecipe]) -> None:
    if loaded.recipe.verify is None:
        msg = f"{loaded.path}: verify: missing; a benchmark needs something to check against"
        raise UserError(msg)
    if loaded.recipe.until is not None or loaded.recipe.becomes is not None:
        msg = f"{loaded.path}: a benchmark asks every question equally often; use samples"
        raise UserError(msg)


def _tell(outcome: Outcome) -> Exit:
    lost = outcome.failed + outcome.unanswered
    if lost:
        log.warning("%d answers are missing and count as not correct", lost)
    if outcome.unanswered:
        log.warning("the same command asks again for %d of them", outcome.unanswered)
    return Exit.ROWS_FAILED if lost else Exit.DONE


def _serve(model: str) -> list[str]:
    """The overrides that put a model into a recipe; JSON strings are YAML strings."""
    if "://" not in model:
        return [f"serve.model={orjson.dumps(model).decode()}"]
    url, _, name = model.partition("#")
    if not name:
        # a password or key may stand in it
        msg = "--model: an address; name the model too, as http://host/v1#name"
        raise UserError(msg)
    return [
        f"teacher.base_url={orjson.dumps(url).decode()}",
        f"teacher.model={orjson.dumps(name).decode()}",
    ]


def _write_scores(
    loaded: Loaded[PromptsRecipe],
    folder: Path,
    ids: list[str],
    *,
    model: str,
    whole: str | None,
    isolation: Isolation,
) -> None:
    found = folder / "traces"
    rows = read_json(found / "manifest.json")["rows"]
    traces = pl.concat(list(frames(found))) if rows else SCHEMA.to_frame()
    kind, k = loaded.recipe.verify or "", loaded.recipe.samples
    questions = _graded(traces, ids, kind=kind, k=k, isolation=isolation)
    scores = _benchmark(questions, traces, k=k)
    unsafe = any(one.detail.startswith(UNSAFE) for each in questions for one in each)
    write_json(
        folder / "scores.json",
        {
            "fingerprint": whole,
            "model": model,
            "benchmarks": {loaded.path.stem: scores},
            "recipe": loaded.recipe.model_dump(mode="json"),
            **({UNSAFE: True} if unsafe else {}),
        },
    )


def _graded(
    traces: pl.DataFrame, ids: list[str], *, kind: str, k: int, isolation: Isolation
) -> list[list[Verdict]]:
    """The k verdicts of every question; an answer that never came is no answer."""
    missing = Verdict(label="no_answer", answer=None, method="missing")
    questions: dict[str, list[Verdict]] = {name: [missing] * k for name in ids}
    rows = [
        row
        for row in traces.select("id", "sample", "gold", "response").iter_rows()
        if row[0] in questions and row[1] < k
    ]
    items = [Item(gold, text, kind) for _, _, gold, text in rows]
    verdicts = grade_all(items, workers=SEVERAL, isolation=isolation)
    for (name, sample, _, _), verdict in zip(rows, verdicts, strict=True):
        questions[name][sample] = verdict
    return list(questions.values())


def _benchmark(questions: list[list[Verdict]], traces: pl.DataFrame, *, k: int) -> dict[str, Any]:
    labels = [verdict.label for verdicts in questions for verdict in verdicts]
    metrics: dict[str, Any] = {"pass@1": asdict(pass_at_1(questions))}
    if k > 1:
        metrics[f"pass@{k}"] = asdict(pass_at_k(questions))
        metrics[f"cons@{k}"] = asdict(cons_at_k(questions))
    return {
        "n": len(questions),
        "k": k,
        **metrics,
        "labels": {label: labels.count(label) for label in sorted(set(labels))},
        "finish": dict(traces["finish_reason"].value_counts(sort=True).iter_rows()),
        "mean_completion_tokens": traces["completion_tokens"].mean(),
    }
