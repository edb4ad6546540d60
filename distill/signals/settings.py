"""What a filters recipe tells its signals, and whether it is there and safe. Loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill.errors import UserError
from distill.models.open import open_model

# signals that only a model makes: naming one without ``score_model`` is a mistake in the recipe
SCORES = ("nll_per_token",)


@dataclass(frozen=True, slots=True)
class Settings:
    """One recipe's settings: small and picklable, the same for every row.

    ``tokenizer``: a local folder with tokenizer.json, or that file: tokens are then the student's.
    ``score_model``: a local folder of a causal language model, for the signals of ``score``.
    ``unsafe_no_sandbox``, ``paranoid``: how the code of an answer is run; see ``verdict``.
    """

    tokenizer: str | None = None
    score_model: str | None = None
    unsafe_no_sandbox: bool = False
    paranoid: bool = False


PLAIN = Settings()  # a recipe that says nothing


def located(settings: Settings, where: str, needed: Sequence[str]) -> Settings:
    """The same with whole paths, looked for here and beside the recipe ``where``.

    Raises:
        UserError: a path that is not there, none for a signal in ``needed`` that has to have it, or
            a model with code of its own.
    """
    unserved = [name for name in needed if name in SCORES]
    if unserved and settings.score_model is None:
        msg = (
            f"{where}: score_model: missing, and {unserved[0]!r} is measured by a model; "
            "add score_model: FOLDER, a local causal language model"
        )
        raise UserError(msg)
    tokenizer, model = settings.tokenizer, settings.score_model
    folder = model and str(Path(_file(model, where, "score_model", "config.json")).parent)
    if folder:
        open_model(folder, at=f"{where}: score_model")
    return replace(
        settings,
        tokenizer=tokenizer and _file(tokenizer, where, "tokenizer", "tokenizer.json"),
        score_model=folder,
    )


def _file(name: str, where: str, key: str, file: str) -> str:
    """The absolute path of ``file``, which ``name`` is or holds."""
    for place in (Path(name).expanduser(), Path(where).parent / name):
        for path in (place / file, place):
            if path.is_file() and path.name.endswith(Path(file).suffix):
                return str(path.resolve())
    msg = (
        f"{where}: {key}: {name!r}: no {file} there; name a local folder that has one "
        f"(hf download {name} --local-dir DIR brings a model of the Hub)"
    )
    raise UserError(msg)
