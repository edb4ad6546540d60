"""Trains one student: rows become examples, the proof is written, TRL trains, then train.json."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from distill.errors import UserError, missing_extra
from distill.files.done import data_digest, fingerprint, is_done
from distill.files.lock import folder_lock
from distill.files.read import frames
from distill.files.write import write_json
from distill.local_models.named import model_at, say_hub
from distill.local_models.open import Model, open_model
from distill.local_models.threads import patient
from distill.recipes.load import Loaded
from distill.recipes.students import StudentRecipe
from distill.training.base import ChatFormat, chat_template_text, open_chat_format
from distill.training.options import Options, checked
from distill.training.prepared import Prepared, Tokens, prepared
from distill.training.save import UNFINISHED, refuse_other_model, save
from distill.training.store import Store

log = logging.getLogger("distill")
PACKAGES = ("torch", "transformers", "trl", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that is known before the data is read."""

    recipe: StudentRecipe
    options: Options
    base: Model
    template: str | None
    data: str | Path
    digest: str  # of the data
    limit: int | None
    main: bool  # whether this process writes, of those that train together


def run(
    loaded: Loaded[StudentRecipe],
    data: str | Path,
    *,
    out: Path,
    limit: int | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Trains a recipe's student into ``out``, unless it is there already.

    Raises:
        UserError: as ``distill.train``.
    """
    os.environ.update(patient(os.environ))  # OpenMP reads it when torch is imported
    refuse_other_model(out, model_at(loaded.recipe.base, "base", loaded.origin))
    job = _job(loaded, data, limit)
    if dry_run:
        _rehearse(job)
        return
    # only one process writes; under `accelerate launch` the others only compute
    with folder_lock(out) if job.main else nullcontext():
        wanted = fingerprint(
            recipe=job.recipe.model_dump(mode="json"),
            chat_template=job.template,
            data=job.digest,
            limit=limit,
        )
        if is_done(out / "train.json", wanted, force=force):
            log.info("train: %s is already done; nothing to do", out)
        else:
            _train(job, out, wanted)


def _job(loaded: Loaded[StudentRecipe], data: str | Path, limit: int | None) -> Job:
    from distill.training.model import require_four_bits

    recipe, origin = loaded.recipe, loaded.origin
    if recipe.quantize:
        require_four_bits()
    return Job(
        recipe=recipe,
        options=checked(recipe, loaded.path, by_user=set(map(".".join, origin.given))),
        base=open_model(_base(model_at(recipe.base, "base", origin)), at=f"{loaded.path}: base"),
        template=chat_template_text(recipe.chat_template, origin),
        data=data,
        digest=data_digest(data),
        limit=limit,
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


def _rehearse(job: Job) -> None:
    from distill.training.fit import arguments, planned_steps
    from distill.training.quiet import quiet

    with quiet():
        _, found = _prepare(job, None)
        planned = planned_steps(arguments(job.options, Path()), found.store.examples)
    _say(found.store, planned)


def _train(job: Job, out: Path, wanted: str) -> None:
    _require()
    from distill.training.fit import arguments, build_trainer, fit, planned_steps
    from distill.training.quiet import quiet

    started = time.monotonic()
    with quiet():
        args = arguments(job.options, out / "checkpoints" / wanted)
        chat, found = _prepare(job, out)
        examples = found.store
        if job.main:
            (out / UNFINISHED).touch()
            (out / "train.json").unlink(missing_ok=True)  # from here on: not done
            write_json(out / "proof.json", found.proof)
            _say(examples, planned_steps(args, examples.examples))
        trainer = build_trainer(
            job.base,
            job.options,
            chat,
            examples,
            arguments=args,
            quantize=job.recipe.quantize,
            positions=job.recipe.positions,
        )
        done = fit(trainer, out=out, fingerprint=wanted, recipe=job.recipe)
        save(trainer, chat, out, base=job.base.name)
    if not job.main:
        return
    result = {
        "fingerprint": wanted,
        "base_model": job.recipe.base,
        "examples": examples.examples,
        "skipped": dict(examples.skipped),
        "tokens": examples.tokens,
        "trained_tokens": examples.trained_tokens,
        "longest_tokens": examples.longest,
        "steps": trainer.state.global_step,
        "loss": {"first": done.steps.loss_first, "last": done.steps.loss_last},
        "wall_s": round(done.steps.wall_s + time.monotonic() - started, 1),
        "device": str(args.device),
        "processes": args.world_size,
        "versions": {name: version(name) for name in PACKAGES},
        "recipe": job.recipe.model_dump(mode="json"),
    }
    write_json(out / "train.json", result)
    (out / UNFINISHED).unlink()
    done.checkpoints.remove()
    log.info("train: %s: loss %.3f to %.3f", out, done.steps.loss_first, done.steps.loss_last)


def _require() -> None:
    from importlib.util import find_spec

    for name in (*PACKAGES, "datasets", "accelerate"):
        if find_spec(name) is None:
            raise missing_extra(module=name, extra="train")


def _prepare(job: Job, out: Path | None) -> tuple[ChatFormat, Prepared]:
    """Every row tokenised and proved, once for each student's folder."""
    chat = open_chat_format(job.base, chat_template=job.template)
    tokens = Tokens(chat=chat, recipe=job.recipe, longest=_longest(job))
    rows = frames(job.data, limit=job.limit, beside=True)
    found = prepared(tokens, rows, data=[job.digest, job.limit], out=out)
    examples, thoughtless = found.store, found.thoughtless
    if not examples.examples:
        msg = f"{job.data}: no row can be trained on: {_listed(examples.skipped)}"
        raise UserError(msg)
    if examples.weighted:
        msg = (
            f"{job.data}: {examples.weighted:,} examples have a weight that is neither 0 nor 1, "
            "which would be ignored; next: take the column or the turns' weight out"
        )
        raise UserError(msg)
    if thoughtless and job.main:
        log.warning(
            "train: %s of %s examples (%.1f %%) have no thought, so the student learns to answer "
            "without one; to leave them out: distill filter with the rule "
            "no_thought: reasoning_chars > 0",
            f"{thoughtless:,}",
            f"{examples.examples:,}",
            100 * thoughtless / examples.examples,
        )
    return chat, found


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


def _say(examples: Store, steps: int) -> None:
    log.info(
        "train: %s examples, %s tokens (%s trained), %s steps; skipped: %s",
        f"{examples.examples:,}",
        f"{examples.tokens:,}",
        f"{examples.trained_tokens:,}",
        f"{steps:,}",
        _listed(examples.skipped),
    )


def _listed(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in skipped.items()) or "none"
