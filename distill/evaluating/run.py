"""Evaluating: a benchmark is asked like any other run; then its answers are graded and scored."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
import polars as pl

from distill.errors import Exit, UserError
from distill.evaluating.scores import cons_at_k, pass_at_1, pass_at_k
from distill.files.done import fingerprint, is_done
from distill.files.read import frames
from distill.files.write import read_json, write_json
from distill.generating.dispatch import Outcome
from distill.generating.lost import say_lost
from distill.generating.prepare import Job
from distill.generating.run import look_ahead, run_generation
from distill.recipes.load import Loaded, load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import SCHEMA
from distill.verify import Item, Verdict, grade_all
from distill.verify.batch import SEVERAL
from distill.verify.isolation import UNSAFE
from distill.verify.own import digests

log = logging.getLogger("distill")
# A benchmark keeps all its questions, also those whose reference fails its own check.
KEEP_ALL = "problems.keep_uncheckable=true"


def load_benchmark(recipe: str, *, model: str, overrides: Sequence[str]) -> Loaded[PromptsRecipe]:
    """A prompts recipe as a benchmark of ``model``.

    Raises:
        UserError: as ``load``; the recipe has nothing to check answers against, or does not ask
            every question equally often; or ``model`` is an address without a name.
    """
    loaded = load(recipe, PromptsRecipe, [*overrides, KEEP_ALL, *_serve(model)])
    if loaded.recipe.verify is None:
        msg = f"{loaded.path}: verify: missing; a benchmark needs something to check against"
        raise UserError(msg)
    if loaded.recipe.until is not None or loaded.recipe.becomes is not None:
        msg = f"{loaded.path}: a benchmark asks every question equally often; use samples"
        raise UserError(msg)
    return loaded


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


def rehearse(job: Job) -> Exit:
    """Says what ``evaluate`` would ask; writes and asks nothing.

    Raises:
        UserError: as ``look_ahead``.
    """
    ahead = look_ahead(job)
    log.info("would ask %d requests, about %d tokens", ahead.requests, ahead.prompt_tokens)
    return Exit.DONE


def evaluate(job: Job, *, model: str) -> Exit:
    """Asks what is missing, grades all answers and writes scores.json.

    Raises:
        DistillError: as ``run_generation``, or what stopped the run.
    """
    path, wanted = job.out / "scores.json", _wanted(job)
    if is_done(path, wanted, force=job.force):
        log.info("already done: %s", path)
        return Exit.DONE
    outcome = run_generation(job)
    if outcome.stopped is not None:
        raise outcome.stopped
    # an outage is no property of the model: without a fingerprint the scores are not final
    _write_scores(job, model=model, whole=None if outcome.unanswered else wanted)
    return _tell(outcome)


def _wanted(job: Job) -> str:
    recipe = job.loaded.recipe.model_dump(mode="json")
    checks = digests(job.plan.checks)
    own = {"checks": checks} if checks else {}
    return fingerprint(plan=job.plan.values(), recipe=recipe, limit=job.limit, **own)


def _tell(outcome: Outcome) -> Exit:
    lost = outcome.failed + outcome.unanswered
    if lost:
        log.warning("%d answers are missing and count as not correct", lost)
    if outcome.unanswered:
        log.warning("the same command asks again for %d of them", outcome.unanswered)
    say_lost(outcome.reasons)
    return Exit.ROWS_FAILED if lost else Exit.DONE


def _write_scores(job: Job, *, model: str, whole: str | None) -> None:
    loaded, found = job.loaded, job.out / "traces"
    ids = [problem.id for problem in job.problems.first(job.limit)]
    rows = read_json(found / "manifest.json")["rows"]
    traces = pl.concat(list(frames(found))) if rows else SCHEMA.to_frame()
    k = loaded.recipe.samples
    questions = _graded(traces, ids, k=k, job=job)
    scores = _benchmark(questions, traces, k=k)
    unsafe = any(one.detail.startswith(UNSAFE) for each in questions for one in each)
    write_json(
        job.out / "scores.json",
        {
            "fingerprint": whole,
            "model": model,
            "benchmarks": {loaded.path.stem: scores},
            "recipe": loaded.recipe.model_dump(mode="json"),
            **({UNSAFE: True} if unsafe else {}),
        },
    )


def _graded(traces: pl.DataFrame, ids: list[str], *, k: int, job: Job) -> list[list[Verdict]]:
    """The k verdicts of every question; an answer that never came is no answer."""
    missing = Verdict(label="no_answer", answer=None, method="missing")
    questions: dict[str, list[Verdict]] = {name: [missing] * k for name in ids}
    rows = [
        row
        for row in traces.select("id", "sample", "gold", "response").iter_rows()
        if row[0] in questions and row[1] < k
    ]
    items = [Item(gold, text, job.loaded.recipe.kind) for _, _, gold, text in rows]
    plan = job.plan
    verdicts = grade_all(items, workers=SEVERAL, isolation=plan.isolation, checks=plan.checks)
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
