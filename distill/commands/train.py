"""``distill train``: kept traces → a student."""

from collections.abc import Sequence
from pathlib import Path

from distill.errors import Exit
from distill.files.inputs import Data
from distill.recipes.load import load
from distill.recipes.students import StudentRecipe
from distill.training.run import run


def train(
    recipe: str,
    data: Data,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    unfiltered: bool = False,
    dry_run: bool = False,
    force: bool = False,
) -> Exit:
    """A student in ``out``: adapter or weights, tokenizer, proof.json, and train.json last.

    DATA is a filtered set, a file, a folder, a glob, or hf://datasets/owner/name; or several, as a
    list, or by a name each. Several are mixed, by the ``weights`` of the recipe.
    ``limit`` reads that many rows at most. ``unfiltered`` allows a run's own traces, and rows that
    a filter dropped. ``dry_run`` tokenises, proves, plans and tries the save, and leaves nothing.

    Raises:
        UserError: the recipe, the data or the base model must change; or ``out`` holds another
            result and ``force`` is not set, or a model that distill did not make, or is in DATA.
    """
    loaded = load(recipe, StudentRecipe, overrides)
    run(
        loaded,
        data,
        out=Path(out),
        limit=limit,
        unfiltered=unfiltered,
        dry_run=dry_run,
        force=force,
    )
    return Exit.DONE
