"""Trains one student: rows become examples, the proof is written, TRL trains, then train.json."""

import logging
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distill.errors import UserError, missing_extra
from distill.files.done import fingerprint, is_done
from distill.files.inputs import Data
from distill.files.lock import folder_lock
from distill.files.write import write_json
from distill.local_models.named import model_at, say_hub
from distill.local_models.open import OR_ADAPTER, Model, open_model
from distill.local_models.threads import patient
from distill.recipes.load import Loaded
from distill.recipes.students import StudentRecipe
from distill.rows import from_frame
from distill.training.base import ChatFormat, chat_template_text, open_chat_format
from distill.training.continued import Start, lora_of, refuse_other_lora, start
from distill.training.fits import apply, measured, plan_here, refuse_too_big, say
from distill.training.options import Options, checked
from distill.training.plan import Lengths, Plan
from distill.training.proof import Proof
from distill.training.save import UNFINISHED, refuse_other_model, save
from distill.training.sets import Sets, open_sets
from distill.training.store import Store, store
from distill.training.tokens import tokenize
from distill.training.useful import listed, refuse_useless
from distill.training.validation import Validating

log = logging.getLogger("distill")
PACKAGES = ("torch", "transformers", "trl", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that is known before the data is read."""

    recipe: StudentRecipe
    options: Options
    start: Start  # base, and the adapter that is trained further
    template: str | None
    sets: Sets
    main: bool  # whether this process writes, of those that train together

    @property
    def base(self) -> Model:
        """The base's whole weights."""
        return self.start.base


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
    refuse_other_model(out, model_at(loaded.recipe.base, "base", loaded.origin))
    sets = open_sets(loaded, data, out=out, limit=limit, unfiltered=unfiltered)
    job = _job(loaded, sets)
    if not job.main:
        log.setLevel(logging.ERROR)  # the first process speaks for all
    _require()
    refuse_too_big(plan_here(job.recipe, job.options, job.base), job.recipe.base)
    if dry_run:
        _rehearse(job, out)
        return
    # only one process writes; under `accelerate launch` the others only compute
    with folder_lock(out) if job.main else nullcontext():
        wanted = fingerprint(
            recipe=job.recipe.model_dump(mode="json"),
            chat_template=job.template,
            data=sets.digest(),
            limit=limit,
            **({"start": job.start.digest} if job.start.digest else {}),
        )
        if is_done(out / "train.json", wanted, force=force):
            log.info("train: %s is already done; nothing to do", out)
        else:
            _train(job, out, wanted)


def _job(loaded: Loaded[StudentRecipe], sets: Sets) -> Job:
    from distill.training.model import require_four_bits

    recipe, origin = loaded.recipe, loaded.origin
    if recipe.quantize:
        require_four_bits()
    named = _base(model_at(recipe.base, "base", origin))
    opened = open_model(named, at=f"{loaded.path}: base", needed=OR_ADAPTER)
    found = start(opened, named=recipe.base)
    own = recipe if recipe.lora or not found.adapter else recipe.model_copy(update={"lora": {}})
    options = checked(own, loaded.path, by_user=set(map(".".join, origin.given)))
    if found.adapter is not None:
        options = replace(options, lora=lora_of(found.adapter))
        refuse_other_lora(recipe.lora, found, options, at=str(loaded.path))
    return Job(
        recipe=recipe,
        options=options,
        start=found,
        template=chat_template_text(recipe.chat_template, origin),
        sets=sets,
        main=os.environ.get("RANK", "0") == "0",  # set by torch's launcher
    )


def _base(name: str) -> str:
    """A folder or Hub id as it is, or the folder of a shipped model."""
    from distill.local_models.weights import SHIPPED, hf_folder

    path = Path(name).expanduser()
    if name not in SHIPPED and path.is_dir():
        return str(path.resolve())  # an adapter stores it, wherever it will be used
    if name not in SHIPPED and "/" in name:
        say_hub(name)
        return name
    return str(hf_folder(name))


def _rehearse(job: Job, out: Path) -> None:
    _require()
    from distill.training.fit import arguments, planned_steps
    from distill.training.quiet import quiet

    with quiet(), store() as examples, store() as held:
        args = arguments(job.options, examples.folder)
        _try(job, args, out, inside=False)
        _prepare(job, examples, held)
        plan = _plan(job, examples, args)
        planned = planned_steps(args, examples.examples)
    _say(examples, held, planned)
    for line in str(plan or "").splitlines():
        log.info("%s", line)


def _plan(job: Job, examples: Store, arguments: Any) -> Plan | None:
    """The plan for the examples; ``arguments`` get what it chooses."""
    plan = plan_here(job.recipe, job.options, job.base, Lengths.of(examples.lengths))
    if job.main:
        refuse_too_big(plan, job.recipe.base)
    apply(plan, arguments)
    return plan


def _try(job: Job, arguments: Any, out: Path, *, inside: bool) -> None:
    from distill.training.rehearse import Student, rehearse

    chat = open_chat_format(job.start.words, chat_template=job.template)
    student = Student(
        start=job.start, options=job.options, chat=chat, positions=job.recipe.positions
    )
    rehearse(student, arguments=arguments, out=out, inside=inside)


def _train(job: Job, out: Path, wanted: str) -> None:
    _require()
    from distill.training.fit import arguments, build_trainer, fit, planned_steps
    from distill.training.quiet import quiet

    started = time.monotonic()
    checkpoints, asked = out / "checkpoints" / wanted, job.recipe.validation
    with quiet(), store() as examples, store() as held:
        args = arguments(job.options, checkpoints, asked)
        if job.main:
            _try(job, args, out, inside=True)
        chat, proof = _prepare(job, examples, held)
        plan = _plan(job, examples, args)
        if job.main:
            (out / UNFINISHED).touch()
            (out / "train.json").unlink(missing_ok=True)  # from here on: not done
            write_json(out / "proof.json", proof.values())
            _say(examples, held, planned_steps(args, examples.examples))
            say(plan)
        trainer = build_trainer(
            job.base,
            job.options,
            chat,
            examples,
            arguments=args,
            quantize=job.recipe.quantize,
            adapter=job.start.adapter,
            positions=job.recipe.positions,
            held=held,
        )
        validating = Validating(trainer=trainer, asked=asked, held=held, folder=checkpoints)
        validating.begin()
        done = fit(
            trainer,
            out=out,
            fingerprint=wanted,
            recipe=job.recipe,
            plan=plan,
            ended=validating.ended_at,
        )
        validating.restore_best()
        save(trainer, chat, out, base=job.base.name)
    if not job.main:
        return
    result = {
        "fingerprint": wanted,
        "base_model": job.start.base_model,
        **({"lineage": list(job.start.lineage)} if job.start.lineage else {}),
        **_counts(examples),
        "sets": job.sets.values(),
        **validating.values(),
        "steps": trainer.state.global_step,
        "loss": {"first": done.steps.loss_first, "last": done.steps.loss_last},
        "wall_s": round(done.steps.wall_s + time.monotonic() - started, 1),
        **measured(plan, trainer).values(),
        **_with(job, args),
    }
    write_json(out / "train.json", result)
    _finish(out, validating, done)


def _finish(out: Path, validating: Validating, done: Any) -> None:
    from distill.training.plot import NAME as PLOT
    from distill.training.plot import plot
    from distill.training.steps import NAME as STEPS

    (out / UNFINISHED).unlink()
    validating.remove()
    done.checkpoints.remove()
    plot(out / STEPS, out / PLOT)
    log.info("train: %s: loss %.3f to %.3f", out, done.steps.loss_first, done.steps.loss_last)


def _counts(examples: Store) -> dict[str, Any]:
    return {
        "examples": examples.examples,
        "skipped": dict(examples.skipped),
        "tokens": examples.tokens,
        "trained_tokens": examples.trained_tokens,
        "longest_tokens": examples.longest,
    }


def _with(job: Job, arguments: Any) -> dict[str, Any]:
    return {
        "device": str(arguments.device),
        "processes": arguments.world_size,
        "versions": {name: version(name) for name in PACKAGES},
        "recipe": job.recipe.model_dump(mode="json"),
    }


def _require() -> None:
    from importlib.util import find_spec

    for name in (*PACKAGES, "datasets", "accelerate"):
        if find_spec(name) is None:
            raise missing_extra(module=name, extra="train")


def _prepare(job: Job, examples: Store, held: Store) -> tuple[ChatFormat, Proof]:
    """Tokenises and proves every row into ``examples``, or into ``held`` for validation."""
    chat = open_chat_format(job.start.words, chat_template=job.template)
    proof = Proof(chat=chat)
    longest = _longest(job)
    thoughtless = 0
    for part in job.sets.parts():
        rows = from_frame(part.frame)
        found = tokenize(rows, chat, prompt=job.recipe.prompt, max_length=longest)
        proof.add(found)
        made = [example for _, example in found.examples]
        (held if part.held else examples).add(made * part.copies)
        job.sets.count(part, [len(one.input_ids) for one in made])
        thoughtless += 0 if part.held else part.copies * found.thoughtless
        examples.skipped.update(found.skipped)
    examples.skipped.update(job.sets.skipped())
    refuse_useless(job.recipe, job.sets, examples, held, thoughtless=thoughtless, longest=longest)
    return chat, proof


def _longest(job: Job) -> int | None:
    """The most tokens of an example: max_length of the recipe, or the base's context length."""
    from distill.training.positions import config_of, longest

    said = job.options.sft.get("max_length")
    able = longest(config_of(job.base, job.recipe.positions))
    if said is not None and able is not None and said > able:
        msg = f"sft.max_length: {said}: {job.recipe.base} has {able} positions; set at most {able}"
        msg += ", or lora: null and positions: {max_position_embeddings: …}"
        raise UserError(msg)
    return able if said is None else int(said)


def _say(examples: Store, held: Store, steps: int) -> None:
    log.info(
        "train: %s examples, %s tokens (%s trained), %s steps; skipped: %s",
        f"{examples.examples:,}",
        f"{examples.tokens:,}",
        f"{examples.trained_tokens:,}",
        f"{steps:,}",
        listed(examples.skipped),
    )
    if held.examples:
        log.info("train: %s examples are held out for validation", f"{held.examples:,}")
