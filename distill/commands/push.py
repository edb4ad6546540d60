"""``distill push``: a filtered set or a student → the Hub, with its card."""

from pathlib import Path

from distill.errors import Exit
from distill.publishing.hub import send


def push(
    path: str | Path,
    repo_id: str,
    *,
    public: bool = False,
    dry_run: bool = False,
    force: bool = False,
) -> Exit:
    """DONE once the Hub holds the filtered set or student at ``path``, with its card.

    ``dry_run`` says what would be sent and contacts nobody. ``force`` replaces what the repository
    holds. The token is the Hub's own: HF_TOKEN, or what ``hf auth login`` stored.

    Raises:
        UserError: not a set or student; a link out of it; a credential in it; no token, or one
            without the right to write; the repository is public and ``public`` is not set, or the
            other way round; it holds something else and ``force`` is not set; the Hub cannot be
            reached.
    """
    send(Path(path), repo_id, public=public, dry_run=dry_run, force=force)
    return Exit.DONE
