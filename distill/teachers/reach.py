"""From a recipe's teacher or serve block to an endpoint that answers. Asks nothing."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import UserError
from distill.recipes.load import Loaded
from distill.recipes.prompts import PromptsRecipe, Serve, Teacher
from distill.teachers.digest import model_digest
from distill.teachers.endpoint import Endpoint
from distill.teachers.serve import serving


def who_answers(loaded: Loaded[PromptsRecipe]) -> str:
    """Whom the answers come from, as far as it changes them; not where the server happens to run.

    Raises:
        UserError: the recipe serves a model and does not name it.
    """
    if loaded.recipe.teacher is not None:
        return f"{loaded.recipe.teacher.base_url} {loaded.recipe.teacher.model}"
    serve = _serve(loaded)
    name = _model(serve, loaded)
    args = f" args {shlex.join(serve.args)}" if serve.args else ""
    return f"{serve.engine} {model_digest(name)} context {serve.context}{args}"


@contextmanager
def reach(loaded: Loaded[PromptsRecipe], *, log_file: Path) -> Iterator[Endpoint]:
    """An endpoint that answers while the block runs; a served model is started and stopped."""
    if loaded.recipe.teacher is not None:
        yield _remote(loaded.recipe.teacher)
        return
    serve = _serve(loaded)
    with serving(serve, model=_model(serve, loaded), log_file=log_file) as endpoint:
        yield endpoint


def _remote(teacher: Teacher) -> Endpoint:
    return Endpoint(
        base_url=teacher.base_url,
        model=teacher.model,
        key_env=teacher.key_env,
        concurrency=teacher.concurrency,
        timeout_s=teacher.timeout_s,
        price=teacher.price,
    )


def _serve(loaded: Loaded[PromptsRecipe]) -> Serve:
    assert loaded.recipe.serve is not None, "a recipe has teacher or serve; its model checks it"
    return loaded.recipe.serve


def _model(serve: Serve, loaded: Loaded[PromptsRecipe]) -> str:
    if serve.model is None:
        msg = f"{loaded.path}: serve.model: missing; name a model, a GGUF file or a folder"
        raise UserError(msg)
    return serve.model
