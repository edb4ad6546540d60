"""What a training is made of, before its data is read: recipe, base, options, sets."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.local_models.digest import sampled_digest
from distill.local_models.named import model_at, say_hub
from distill.local_models.open import OR_ADAPTER, Model, open_model
from distill.recipes.load import Loaded
from distill.recipes.students import StudentRecipe
from distill.training.base import ChatFormat, chat_template_text, open_chat_format
from distill.training.continued import Start, lora_of, refuse_other_lora, start
from distill.training.machine import first_process
from distill.training.options import Options, checked
from distill.training.prepared import Prepared, Tokens, prepared
from distill.training.sets import Sets
from distill.training.useful import refuse_useless

log = logging.getLogger("distill")


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

    def fingerprint(self) -> str:
        """16 hex digits that change with anything that decides the student."""
        return fingerprint(
            recipe=self.recipe.model_dump(mode="json"),
            chat_template=self.template,
            data=self.sets.digest(),
            limit=self.sets.limit,
            **({"start": self.start.digest} if self.start.digest else {}),
        )

    def base_digest(self) -> str:
        """The base's commit, or a digest of its files, which may be replaced in place."""
        return self.base.revision or sampled_digest(self.base.folder)

    def chat(self) -> ChatFormat:
        """How the student is asked, and how it ends its answers."""
        return open_chat_format(self.start.words, chat_template=self.template)


def open_start(loaded: Loaded[StudentRecipe]) -> Start:
    """What a recipe starts from; its weights are not looked at yet.

    Raises:
        UserError: the base cannot be used.
    """
    named = _base(model_at(loaded.recipe.base, "base", loaded.origin))
    opened = open_model(named, at=f"{loaded.path}: base", needed=OR_ADAPTER)
    return start(opened, named=loaded.recipe.base)


def open_job(loaded: Loaded[StudentRecipe], found: Start, sets: Sets) -> Job:
    """The job of a recipe, what it starts from, and its sets.

    Raises:
        UserError: an option must change.
    """
    from distill.training.model import require_four_bits

    recipe, origin = loaded.recipe, loaded.origin
    if recipe.quantize:
        require_four_bits()
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
        main=first_process(),
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


def prepare(job: Job, chat: ChatFormat, *, out: Path | None) -> Prepared:
    """Every row tokenised and proved, once for each student's folder ``out``; None: only counted.

    Raises:
        UserError: a row fails the proof, or there is nothing to train on.
    """
    tokens = Tokens(chat=chat, recipe=job.recipe, longest=_longest(job))
    found = prepared(tokens, job.sets, out=out)
    refuse_useless(job.recipe, job.sets, found, longest=tokens.longest)
    return found


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
