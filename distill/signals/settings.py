"""A filters recipe's settings for its signals, checked to exist and to be safe."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill.errors import UserError
from distill.local_models.open import open_model
from distill.recipes.filters import FilterRecipe
from distill.recipes.places import FOLDER, TOKENIZER, Origin, missing, place
from distill.verify.own import Checks

# signals that only a model makes: naming one without ``score_model`` is a mistake in the recipe
SCORES = ("nll_per_token", "student_fit", "unscored")


@dataclass(frozen=True, slots=True)
class Settings:
    """One recipe's settings: small and picklable, the same for every row.

    ``tokenizer``: a local folder with tokenizer.json, or that file: tokens are then the student's.
    ``score_model``: a local folder of a causal language model, for the signals of ``score``.
    ``unsafe_no_sandbox``, ``paranoid``: how the code of an answer is run; see ``verdict``.
    ``checks``: of the user's own, for rows that name them.
    """

    tokenizer: str | None = None
    score_model: str | None = None
    unsafe_no_sandbox: bool = False
    paranoid: bool = False
    checks: Checks = ()


PLAIN = Settings()  # the defaults


def placed(settings: Settings, recipe: FilterRecipe, origin: Origin) -> Settings:
    """The same with the whole paths of what the recipe names.

    Raises:
        UserError: a path that is not there, or not the recipe's to read; a model with code of its
            own.
    """
    tokenizer, model = recipe.tokenizer, recipe.score_model
    return replace(
        settings,
        tokenizer=tokenizer and _file(tokenizer, "tokenizer", origin),
        score_model=model and _folder(model, "score_model", origin),
    )


def refuse_unserved(settings: Settings, where: str, needed: Sequence[str]) -> None:
    """Refuses a signal in ``needed`` that only a model makes where the recipe ``where`` has none.

    Raises:
        UserError: there is such a signal.
    """
    unserved = [name for name in needed if name in SCORES]
    if unserved and settings.score_model is None:
        msg = (
            f"{where}: score_model: missing, and {unserved[0]!r} is measured by a model; "
            "add score_model: FOLDER, a local causal language model"
        )
        raise UserError(msg)


def _file(name: str, key: str, origin: Origin) -> str:
    """The absolute path of the tokenizer.json that ``name`` is or holds."""
    found = place(name, key, origin, TOKENIZER)
    if found is not None and found.is_dir():
        found = place(f"{name}/tokenizer.json", key, origin, TOKENIZER)
    if found is None or found.suffix != ".json":
        raise _none_there(name, key, origin, "tokenizer.json")
    return str(found.resolve())


def _folder(name: str, key: str, origin: Origin) -> str:
    found = place(name.removesuffix("/config.json"), key, origin, FOLDER)
    if found is None or not (found / "config.json").is_file():
        raise _none_there(name, key, origin, "config.json")
    return str(open_model(str(found), at=f"{origin.path}: {key}").folder)


def _none_there(name: str, key: str, origin: Origin, file: str) -> UserError:
    what = (
        f"no {file} there; name a local folder that has one "
        f"(hf download {name} --local-dir DIR brings a model of the Hub)"
    )
    return missing(name, key, origin, what)
