"""From a recipe's teacher or serve block to endpoints that answer."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from distill.errors import UserError
from distill.generating.sending import refuse_untrusted, say, say_served
from distill.local_models.digest import model_digest
from distill.local_models.named import model_at, say_hub
from distill.local_models.open import refuse_foreign
from distill.local_models.serve import serving
from distill.recipes.load import Loaded
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Continues, Engine, Serve, Teacher
from distill.teachers.endpoint import Endpoint

# transformers' server always opens a new turn.
CONTINUES: dict[Engine, Continues] = {
    "llama.cpp": "assistant_turn",
    "vllm": "continue_final_message",
    "sglang": "continue_final_message",
}


def who_answers(loaded: Loaded[PromptsRecipe]) -> str:
    """Who the answers come from, as far as it changes them; not where the server happens to run.

    An endpoint's own switches (thinking on or off, say) are part of it. Of an endpoint with
    ``known_as``, only that name is.

    Raises:
        UserError: the recipe serves a model and does not name it, or its folder has code in it.
    """
    if loaded.recipe.endpoints:
        return ", ".join(sorted({_name(teacher) for teacher in loaded.recipe.endpoints}))
    serve = _serve(loaded)
    name = _model(serve, loaded)
    refuse_foreign(name, at=f"{loaded.path}: serve.model")
    args = f" args {shlex.join(serve.args)}" if serve.args else ""
    return f"{serve.engine} {model_digest(name)} context {serve.context}{args}"


@contextmanager
def open_endpoints(
    loaded: Loaded[PromptsRecipe], *, log_file: Path
) -> Iterator[tuple[Endpoint, ...]]:
    """Endpoints that answer while the block runs; a served model is started and stopped.

    Raises:
        UserError: answers that are cut are to be continued, and an endpoint cannot do that; or a
            key would go where nobody allowed it.
    """
    if loaded.recipe.endpoints:
        refuse_untrusted(loaded)
        found = tuple(_remote(teacher) for teacher in loaded.recipe.endpoints)
        _refuse_unable(loaded, found)
        say(loaded)
        yield found
        return
    serve = _serve(loaded)
    model = _model(serve, loaded)
    say_hub(model)
    with serving(serve, model=model, log_file=log_file) as endpoint:
        able = replace(endpoint, continues=CONTINUES.get(serve.engine))
        _refuse_unable(loaded, (able,))
        say_served(loaded, able.base_url)
        yield (able,)


def _refuse_unable(loaded: Loaded[PromptsRecipe], endpoints: tuple[Endpoint, ...]) -> None:
    truncated = loaded.recipe.truncated
    if truncated is None or truncated.continue_tokens is None:
        return
    for endpoint in endpoints:
        if endpoint.continues is None:
            msg = (
                f"{loaded.path}: truncated.continue_tokens: {endpoint.name} is not known to go on "
                "with a cut answer; next: truncated.retry_max_tokens, or say how in its continues"
            )
            raise UserError(msg)
    names = sorted({t.known_as or t.model for t in loaded.recipe.endpoints})
    if len(names) > 1:
        msg = (
            f"{loaded.path}: truncated.continue_tokens: {' and '.join(names)} would go on with "
            "each other's answers; next: one known_as for all teachers, or retry_max_tokens"
        )
        raise UserError(msg)


def _name(teacher: Teacher) -> str:
    if teacher.known_as is not None:
        return teacher.known_as
    name = f"{teacher.base_url} {teacher.model}"
    if not teacher.extra_body:
        return name
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    return f"{name} {orjson.dumps(teacher.extra_body, option=options).decode()}"


def _remote(teacher: Teacher) -> Endpoint:
    return Endpoint(
        base_url=teacher.base_url,
        model=teacher.model,
        key_env=teacher.key_env,
        concurrency=teacher.concurrency,
        timeout_s=teacher.timeout_s,
        price=teacher.price,
        limit_name=teacher.limit_name,
        extra_body=teacher.extra_body,
        continues=teacher.continues,
        weight=teacher.weight,
    )


def _serve(loaded: Loaded[PromptsRecipe]) -> Serve:
    assert loaded.recipe.serve is not None, "a recipe has teacher or serve; its model checks it"
    return loaded.recipe.serve


def _model(serve: Serve, loaded: Loaded[PromptsRecipe]) -> str:
    if serve.model is None:
        msg = f"{loaded.path}: serve.model: missing; name a model, a GGUF file or a folder"
        raise UserError(msg)
    return model_at(serve.model, "serve.model", loaded.origin)
