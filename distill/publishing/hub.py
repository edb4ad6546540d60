"""Puts a filtered set or a student on the Hub, with its card.

A repository is private unless the user says otherwise. Data and card go into one commit, so it
holds either everything or nothing. What was uploaded before an interruption is not sent again.
"""

import fnmatch
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from distill.credentials.find import keys_in, without_keys
from distill.errors import UserError, missing_extra
from distill.files.hub import quiet_client
from distill.files.inside import ChangedError
from distill.publishing.bundle import PushBundle, bundle_of
from distill.publishing.keys import Digest, refuse_keys
from distill.recipes.places import HUB_ID

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import RepoFile

log = logging.getLogger("distill")

# Files of an earlier push that would be read as part of this one. They are removed with --force;
# without it the push is refused.
STALE = {
    "dataset": ("data/*",),
    "model": ("*.safetensors", "*.safetensors.index.json", "*.bin", "*config.json"),
}


def send(path: Path, repo_id: str, *, public: bool, dry_run: bool, force: bool) -> None:
    """Puts the filtered set or student at ``path`` on the Hub, with its card.

    Raises:
        UserError: as ``distill.push``.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise missing_extra(module="huggingface_hub", extra="hub") from None
    _check_name(repo_id)
    try:
        bundle = bundle_of(path, repo_id)
        digests = refuse_keys(bundle)
    except ChangedError as error:
        raise UserError(str(error)) from None
    sizes = bundle.sizes()
    target = f"{bundle.kind} {repo_id} ({'public' if public else 'private'})"
    if dry_run:
        for name, size in sizes.items():
            log.info("would send %s, %s bytes", name, f"{size:,}")
        total = sum(sizes.values())
        log.info("would send %d files, %s bytes to %s", len(sizes), f"{total:,}", target)
        return
    # Read here, because the library only reads it when it is imported.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    api = HfApi(endpoint=endpoint, library_name="distill")
    problem = _send_or_say(api, bundle, digests, repo_id, public=public, force=force)
    if problem:  # not raised where it was caught, because the client's error holds the request
        raise UserError(problem)


def _check_name(repo_id: str) -> None:
    if not HUB_ID.fullmatch(repo_id) or keys_in(repo_id):
        msg = f"{_clean(repo_id)}: not a repository's name; write it as owner/name"
        raise UserError(msg)


def _send(
    api: "HfApi",
    bundle: PushBundle,
    digests: dict[str, Digest],
    repo_id: str,
    *,
    public: bool,
    force: bool,
) -> None:
    from huggingface_hub import CommitOperationDelete

    if _token() is None:
        msg = "HF_TOKEN: not set, and nobody is logged in to the Hub; next: set it to a write token"
        raise UserError(msg)
    made = api.create_repo(repo_id, repo_type=bundle.kind, private=not public, exist_ok=True)
    url = re.sub(r"//[^/@]*@", "//", made)  # an endpoint may hold a password
    info = api.repo_info(repo_id, repo_type=bundle.kind)
    _check_visibility(repo_id, private=info.private, public=public)
    held = _held(api, bundle.kind, repo_id, info.sha)
    changed, stale = _differences(bundle, digests, held)
    if not changed and not stale:
        log.info("%s holds all of this already; nothing was sent", url)
        return
    replaced = [name for name in changed if name in held] + stale
    if replaced and not force:
        msg = (
            f"{repo_id}: holds another {replaced[0]}; next: choose another name, or --force to "
            "replace what is there"
        )
        raise UserError(msg)
    sizes = bundle.sizes()
    total = sum(sizes[name] for name in changed)
    log.info("sending %d files, %s bytes to %s", len(changed), f"{total:,}", url)
    adds = [_addition(bundle, name, digests[name]) for name in changed]
    # The client uploads equal files at the same time from one stream, so one of each goes first.
    first = {digests[name].sha256: add for name, add in zip(changed, adds, strict=True)}
    if len(first) < len(adds):
        api.preupload_lfs_files(repo_id, first.values(), repo_type=bundle.kind)
    drops = [CommitOperationDelete(name) for name in stale]
    api.create_commit(
        repo_id,
        [*drops, *adds],
        repo_type=bundle.kind,
        commit_message="Push with distill",
        parent_commit=info.sha,
    )
    log.info("%s is complete, %s", url, "public" if public else "private")


def _addition(bundle: PushBundle, name: str, digest: Digest) -> "CommitOperationAdd":
    """A file to send: the bytes that were searched for keys, or an error.

    It is a stream, which the client hashes first and then reads again. It goes by LFS, because xet
    only takes paths, and a path may lead to another file by then.
    """
    from huggingface_hub import CommitOperationAdd

    content = bundle.content(name)
    data = content if isinstance(content, bytes) else bundle.folder.steady(content)
    added = CommitOperationAdd(name, data)
    if added.upload_info.sha256.hex() != digest.sha256:
        msg = f"{name}: changed meanwhile; next: run the same command again"
        raise ChangedError(msg)
    return added


def _check_visibility(repo_id: str, *, private: bool | None, public: bool) -> None:
    if private is not True and not public:
        msg = f"{repo_id}: is public on the Hub; next: pass --public, or choose another name"
        raise UserError(msg)
    if private is not False and public:
        msg = (
            f"{repo_id}: is private on the Hub, which --public does not change; next: leave it "
            "out, or make the repository public in its settings"
        )
        raise UserError(msg)


def _held(api: "HfApi", kind: str, repo_id: str, sha: str | None) -> dict[str, "RepoFile"]:
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(repo_id, recursive=True, revision=sha, repo_type=kind)
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _differences(
    bundle: PushBundle, digests: dict[str, Digest], held: dict[str, "RepoFile"]
) -> tuple[list[str], list[str]]:
    """(what to send, what to remove): paths in the repository, the card last."""
    ours = bundle.names()
    changed = [name for name in ours if name not in held or not _same(digests[name], held[name])]
    patterns = STALE[bundle.kind]
    others = [name for name in held if name not in ours]
    stale = [name for name in others if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    return changed, stale


def _same(digest: Digest, entry: "RepoFile") -> bool:
    """Whether the Hub's file has our bytes, by sha256 (LFS) or by git's blob id."""
    if entry.lfs is None:
        return digest.git == entry.blob_id
    return digest.sha256 == entry.lfs.sha256


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _send_or_say(
    api: "HfApi",
    bundle: PushBundle,
    digests: dict[str, Digest],
    repo_id: str,
    *,
    public: bool,
    force: bool,
) -> str | None:
    """None if everything was sent, else what went wrong, in one line without secrets."""
    # HTTPError is that of the HTTP library which the installed client uses, so it includes its own.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        with quiet_client():
            _send(api, bundle, digests, repo_id, public=public, force=force)
    except HTTPError as error:
        return _say(error, api.endpoint, repo_id)
    except (OSError, RuntimeError, ValueError) as error:  # a lost upload, xet, an unreadable answer
        return _say(error, api.endpoint, repo_id)
    return None


def _say(error: BaseException, endpoint: str, repo_id: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        if isinstance(cause, ChangedError):
            return str(cause)
        cause = cause.__cause__
    host = urlsplit(endpoint).netloc.rpartition("@")[2]
    if cause is None:
        return f"{host}: cannot push there: {_clean(error)}; next: run the same command again"
    status = cause.response.status_code
    said = f"{repo_id}: the Hub answered {status} ({_clean(cause.server_message or '')})"
    return f"{said}; next: {_next_step(status)}"


def _next_step(status: int) -> str:
    if status == 401:
        return "set HF_TOKEN to a valid token with write access"
    if status in (403, 404):
        return "check the owner's name, and that the token may write there"
    if status == 412:
        return "somebody else changed the repository meanwhile; run the same command again"
    if status == 429 or status >= 500:
        return "run the same command later; what is uploaded is not sent again"
    return "change what it complains about and run the same command again"


def _clean(said: object) -> str:
    """One short line of a server's or library's text, without the token or anything like one."""
    text = str(said)
    if token := _token():
        text = text.replace(token, "…")
    return without_keys(text) or "no reason given"
