"""``distill train``: kept traces → a student."""

from collections.abc import Sequence
from pathlib import Path

from distill.errors import Exit
from distill.recipes.load import load
from distill.recipes.students import StudentRecipe
from distill.training.run import run


def train(
    recipe: str,
    data: str | Path,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> Exit:
    """A student in ``out``: adapter or weights, tokenizer, proof.json, and train.json last.

    ``limit`` reads that many rows at most. ``dry_run`` tokenises and proves, and writes nothing.

    Raises:
        UserError: the recipe, the data or the base model must change; or ``out`` holds another
            result and ``force`` is not set, or a model that distill did not make.
    """
    loaded = load(recipe, StudentRecipe, overrides)
    run(loaded, data, out=Path(out), limit=limit, dry_run=dry_run, force=force)
    return Exit.DONE
