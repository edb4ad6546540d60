"""Fetches a model from the Hub at one commit, so that what is checked is what is loaded.

The list of files comes first; nothing is fetched from a repository that has code in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distill.errors import UserError, missing_extra
from distill.files.hub import quiet_client
from distill.local_models.allowed import is_weights, read_names, wrong_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One commit of a repository in the Hub's cache on this machine."""

    folder: Path
    revision: str | None  # the commit; None: offline, whatever is cached
    names: tuple[str, ...]  # all files of the repository, as far as known


def bring(repo: str, *, at: str) -> Snapshot:
    """Fetches a repository's configs and tokenizer, or nothing at all if it has code in it.

    Raises:
        UserError: there is no such repository, it is gated, or it is neither on the Hub nor in the
            cache; ``at`` is the recipe's key.
    """
    try:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import (  # type: ignore[attr-defined]
            GatedRepoError,
            HFValidationError,
            HTTPError,
            RepositoryNotFoundError,
        )
    except ImportError:
        raise missing_extra(module="huggingface_hub", extra="hub") from None
    try:
        with quiet_client():
            found = HfApi().model_info(repo)
        names = tuple(one.rfilename for one in found.siblings or ())
        if wrong_names(names):
            return Snapshot(folder=Path(), revision=found.sha, names=names)
        wanted = [name for name in read_names(names) if not is_weights(name)]
        with quiet_client():
            folder = snapshot_download(repo, revision=found.sha, allow_patterns=wanted)
    except GatedRepoError:
        msg = f"{at}: {repo}: is gated; accept its licence on the Hub and set HF_TOKEN"
        raise UserError(msg) from None
    except RepositoryNotFoundError:
        msg = f"{at}: {repo}: cannot be loaded: no such repository, or a private one (HF_TOKEN)"
        raise UserError(msg + "; give a folder, a Hub id or a shipped name") from None
    except HFValidationError:
        msg = f"{at}: {repo}: cannot be loaded: no such folder, and not a repository's name"
        raise UserError(msg) from None
    except (OSError, HTTPError) as error:
        return _cached(repo, at=at, error=error)
    return Snapshot(folder=Path(folder).resolve(), revision=found.sha, names=names)


def bring_weights(repo: str, revision: str | None, names: Iterable[str], *, at: str) -> None:
    """Fetches the weights of that commit into the folder of ``bring``.

    Raises:
        UserError: they cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    wanted = [name for name in read_names(names) if is_weights(name)]
    if revision is None or not wanted:
        return
    try:
        with quiet_client():
            snapshot_download(repo, revision=revision, allow_patterns=wanted)
    except (OSError, HTTPError) as error:
        msg = f"{at}: {repo}: its weights cannot be fetched ({type(error).__name__}); "
        raise UserError(msg + "the same command continues from there") from None


def _cached(repo: str, *, at: str, error: Exception) -> Snapshot:
    """The newest commit in the cache, to be checked like any other."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    place = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model") / "snapshots"
    commits = sorted(place.glob("*/"), key=lambda commit: commit.stat().st_mtime)
    if not commits:
        msg = f"{at}: {repo}: cannot be loaded: the Hub cannot be reached ({type(error).__name__}) "
        raise UserError(msg + "and it is not cached; give a folder") from None
    return Snapshot(folder=commits[-1].resolve(), revision=commits[-1].name, names=())
