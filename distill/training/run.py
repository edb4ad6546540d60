"""Trains one student: rows become examples, the proof is written, TRL trains, then train.json."""

import logging
import os
import time
from contextlib import nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.errors import UserError, missing_extra
from distill.files.done import is_done
from distill.files.inputs import Data
from distill.files.lock import folder_lock
from distill.files.write import read_json, write_json
from distill.local_models.named import model_at
from distill.local_models.threads import patient
from distill.recipes.load import Loaded
from distill.recipes.students import StudentRecipe
from distill.training.base import ChatFormat
from distill.training.early import plan_early
from distill.training.exhausted import memory_may_end
from distill.training.fits import (
    apply,
    enough,
    measured,
    plan_here,
    refuse_too_big,
    say,
    warn_of_other_steps,
)
from distill.training.job import Job, open_job, open_start, prepare
from distill.training.machine import first_process
from distill.training.plan import Lengths, Plan
from distill.training.prepared import Prepared
from distill.training.save import UNFINISHED, refuse_other_model, save
from distill.training.sets import open_sets
from distill.training.store import Store
from distill.training.useful import listed
from distill.training.validation import Validating

log = logging.getLogger("distill")
# Of products of one size each, in bfloat16 on a CPU. oneDNN keeps 1,024 unless told: after 14 steps
# of SmolLM2-135M 2.24 GiB were held, with 64 of them 2.00, at the same speed.
KERNELS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
PACKAGES = ("torch", "transformers", "trl", "peft")


def run(
    loaded: Loaded[StudentRecipe],
    data: Data,
    *,
    out: Path,
    limit: int | None,
    unfiltered: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Trains a recipe's student into ``out``, unless it is there already.

    Raises:
        UserError: as ``distill.train``.
    """
    os.environ.update(patient(os.environ))  # OpenMP reads it when torch is imported
    os.environ.setdefault(*KERNELS)
    refuse_other_model(out, model_at(loaded.recipe.base, "base", loaded.origin))
    sets = open_sets(loaded, data, out=out, limit=limit, unfiltered=unfiltered)
    if not first_process():
        log.setLevel(logging.ERROR)  # the first process speaks for all
    _require()
    found = open_start(loaded)
    plan_early(loaded.recipe, found, dry_run=dry_run)
    job = open_job(loaded, found, sets)
    if dry_run:
        _rehearse(job, out)
        return
    # only one process writes; under `accelerate launch` the others only compute
    with folder_lock(out) if job.main else nullcontext():
        wanted = job.fingerprint()
        if is_done(out / "train.json", wanted, force=force):
            _refuse_other_base(out, job)
            log.info("train: %s is already done; nothing to do", out)
        else:
            _train(job, out, wanted)


def _refuse_other_base(out: Path, job: Job) -> None:
    then = read_json(out / "train.json").get("base_digest")  # an older student's lacks it
    if then not in (None, job.base_digest()):
        msg = f"{out}: holds a student of {job.recipe.base}, but its files have changed since; "
        msg += "choose another -o, or --force to replace it"
        raise UserError(msg)


def _rehearse(job: Job, out: Path) -> None:
    from distill.training.fit import arguments
    from distill.training.quiet import quiet

    with quiet():
        args = arguments(job.options, out)
        chat = job.chat()
        found = prepare(job, chat, out=None)
        plan, needs = _plan(job, found.store, args)
        _say(found, args)
        for line in str(plan or "").splitlines():
            log.info("%s", line)
        _try(job, chat, args, out, inside=False)
    log.info("train: an empty student of this kind can be saved and loaded again")
    refuse_too_big(
        plan, job.recipe.base, needs
    )  # last, because it may be meant for another machine


def _try(job: Job, chat: ChatFormat, arguments: Any, out: Path, *, inside: bool) -> None:
    """Saves and loads an empty student."""
    from distill.training.rehearse import Student, rehearse

    if job.main:
        positions = job.recipe.positions
        student = Student(start=job.start, options=job.options, chat=chat, positions=positions)
        rehearse(student, arguments=arguments, out=out, inside=inside)


def _plan(job: Job, examples: Store, arguments: Any) -> tuple[Plan | None, str]:
    """The plan for the examples, and what it needs; ``arguments`` get what it chooses."""
    lengths = Lengths.of(examples.lengths)
    plan = plan_here(job.recipe, job.options, job.base, lengths)
    apply(plan, arguments)
    if plan is None:
        return None, ""
    if job.main:
        warn_of_other_steps(job.recipe, plan)
    return plan, enough(job.recipe, job.options, plan, lengths)


def _train(job: Job, out: Path, wanted: str) -> None:
    from distill.training.fit import arguments, build_trainer, fit
    from distill.training.quiet import quiet

    started = time.monotonic()
    is_base = job.base_digest()
    checkpoints, asked = out / "checkpoints" / wanted, job.recipe.validation
    with quiet():
        args = arguments(job.options, checkpoints, asked)
        chat = job.chat()
        _try(job, chat, args, out, inside=True)
        found = prepare(job, chat, out=out)
        plan, needs = _plan(job, found.store, args)
        refuse_too_big(plan, job.recipe.base, needs)
        if job.main:
            _begin(out, found, args, plan)
        with memory_may_end(plan, gpu=args.device.type == "cuda"):
            trainer = build_trainer(
                job.base,
                job.options,
                chat,
                found.store,
                arguments=args,
                quantize=job.recipe.quantize,
                adapter=job.start.adapter,
                positions=job.recipe.positions,
                held=found.held,
            )
        validating = Validating(trainer=trainer, asked=asked, held=found.held, folder=checkpoints)
        validating.begin()
        done = fit(
            trainer,
            out=out,
            fingerprint=wanted,
            base=is_base,
            recipe=job.recipe,
            plan=plan,
            ended=validating.ended_at,
        )
        validating.restore_best()
        save(trainer, chat, out, base=job.base.name)
    if job.main:
        losses = {"first": done.steps.loss_first, "last": done.steps.loss_last}
        result = {
            "fingerprint": wanted,
            "base_digest": is_base,
            **_trained_on(job, found),
            **validating.values(),
            "steps": trainer.state.global_step,
            "loss": losses,
            "wall_s": round(done.steps.wall_s + time.monotonic() - started, 1),
            **measured(plan, trainer).values(),
            **_trained_with(job, args),
        }
        _end(out, result)
        validating.remove()
        done.checkpoints.remove()


def _begin(out: Path, found: Prepared, arguments: Any, plan: Plan | None) -> None:
    (out / UNFINISHED).touch()
    (out / "train.json").unlink(missing_ok=True)  # from here on: not done
    write_json(out / "proof.json", found.proof)
    _say(found, arguments)
    say(plan)


def _end(out: Path, result: dict[str, Any]) -> None:
    from distill.training import plot, steps

    write_json(out / "train.json", result)
    (out / UNFINISHED).unlink()
    plot.plot(out / steps.NAME, out / plot.NAME)
    log.info("train: %s: loss %.3f to %.3f", out, *result["loss"].values())


def _trained_on(job: Job, found: Prepared) -> dict[str, Any]:
    examples = found.store
    return {
        **job.start.values(),
        "examples": examples.examples,
        "skipped": dict(examples.skipped),
        "tokens": examples.tokens,
        "trained_tokens": examples.trained_tokens,
        "longest_tokens": examples.longest,
        "sets": found.sets,
    }


def _trained_with(job: Job, arguments: Any) -> dict[str, Any]:
    return {
        "device": str(arguments.device),
        "processes": arguments.world_size,
        "versions": {name: version(name) for name in PACKAGES},
        "recipe": job.recipe.model_dump(mode="json"),
    }


def _require() -> None:
    for name in (*PACKAGES, "datasets", "accelerate"):
        if find_spec(name) is None:
            raise missing_extra(module=name, extra="train")


def _say(found: Prepared, arguments: Any) -> None:
    from distill.training.fit import planned_steps

    examples, held = found.store, found.held
    log.info(
        "train: %s examples, %s tokens (%s trained), %s steps; skipped: %s",
        f"{examples.examples:,}",
        f"{examples.tokens:,}",
        f"{examples.trained_tokens:,}",
        f"{planned_steps(arguments, examples.examples):,}",
        listed(examples.skipped),
    )
    if held.examples:
        log.info("train: %s examples are held out for validation", f"{held.examples:,}")
