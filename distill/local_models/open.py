"""Opens a model by its name in a recipe, and checks it before anything is loaded from it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.local_models.allowed import ADAPTER, CONFIG, wrong_names
from distill.local_models.folder import lacking_weights, parsed, wrong_folder
from distill.local_models.hub import bring, bring_weights

OR_ADAPTER = (CONFIG, ADAPTER)
OR_TOKENIZER = (CONFIG, "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that has no code, only safetensors, and points to nothing outside itself."""

    name: str  # as it was given
    folder: Path  # where its files lie, all links resolved
    at: str  # the recipe's key that named it
    revision: str | None = None  # the commit, of a repository of the Hub
    names: tuple[str, ...] = ()  # the repository's files
    base: "Model | None" = None  # what an adapter changes; None for whole weights

    @property
    def source(self) -> str:
        """What the libraries load: a folder, or a Hub id at ``revision``."""
        return str(self.folder) if self.revision is None else self.name

    @property
    def options(self) -> dict[str, Any]:
        """Options of every ``from_pretrained``: no code, no network, the checked commit.

        Without ``trust_remote_code`` transformers would ask on the terminal.
        """
        pinned = {} if self.revision is None else {"revision": self.revision}
        return {"trust_remote_code": False, "local_files_only": True, **pinned}

    def with_weights(self) -> "Model":
        """The same model with its weights here; those of a repository are fetched.

        Raises:
            UserError: there are none in safetensors, or they cannot be fetched.
        """
        if self.revision is not None:
            bring_weights(self.name, self.revision, self.names, at=self.at)
        if said := lacking_weights(self.folder):
            raise _refused(self.name, self.at, said)
        if self.base is not None:
            self.base.with_weights()
        return self


def open_model(name: str, *, at: str, needed: Collection[str] = (CONFIG,)) -> Model:
    """The model of that name, a folder or a repository of the Hub; weights are not checked yet.

    Args:
        name: as in the recipe.
        at: the recipe's key, for errors.
        needed: it must have one of these files: CONFIG, OR_ADAPTER or OR_TOKENIZER. An adapter's
            base is opened too.

    Raises:
        UserError: no such model, or it has code, pickles or references to elsewhere.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        found = Model(name=name, folder=path.resolve(), at=at)
    else:
        brought = bring(name, at=at)
        if said := wrong_names(brought.names):
            raise _refused(name, at, said)
        names, revision = brought.names, brought.revision
        found = Model(name=name, folder=brought.folder, at=at, revision=revision, names=names)
    if said := wrong_folder(found.folder, needed=needed):
        raise _refused(name, at, said)
    alone = ADAPTER in needed and not (found.folder / CONFIG).is_file()
    return replace(found, base=_base(found)) if alone else found


def opened(model: str | Path | Model, *, at: str, needed: Collection[str] = (CONFIG,)) -> Model:
    """The model itself, or the one of that name, opened by ``open_model``."""
    return model if isinstance(model, Model) else open_model(str(model), at=at, needed=needed)


def refuse_foreign(name: str, *, at: str) -> None:
    """Raises if ``name`` is a folder here that ``open_model`` would refuse; does not use the Hub.

    Raises:
        UserError: it has code, or references to elsewhere.
    """
    path = Path(name).expanduser()
    if not path.is_dir():
        return
    if said := wrong_folder(path.resolve()):
        raise _refused(name, at, said)
    if not (path / CONFIG).is_file():
        base = Path(_base_name(Model(name=name, folder=path.resolve(), at=at))).expanduser()
        if base.exists() and (said := wrong_folder(base.resolve(), needed=(CONFIG,))):
            raise _refused(name, at, f"its base {base}: {said}")


def _base(adapter: Model) -> Model:
    return open_model(_base_name(adapter), at=f"{adapter.at}: {adapter.name}: its base")


def _base_name(adapter: Model) -> str:
    base = parsed(adapter.folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        msg = f"{adapter.at}: {adapter.name}: {ADAPTER} names no base_model_name_or_path"
        raise UserError(msg)
    return base


def _refused(name: str, at: str, said: str) -> UserError:
    hint = "give a folder, a Hub id or a shipped name of a model in safetensors, without code"
    return UserError(f"{at}: {name}: cannot be loaded: {said}; {hint}")
