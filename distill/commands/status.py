"""``distill status``: what runs, filtered sets, students and scores hold."""

from pathlib import Path

from distill.errors import Exit
from distill.showing.status import show_status


def status(*paths: str | Path, repair: bool = False) -> Exit:
    """Prints one table with a section for each folder, in the order given.

    A folder may be a run, a filtered set, a student or an evaluation.

    Args:
        paths: the folders.
        repair: look through each run's ledger, and put what can be read of a damaged one into a new
            one; the damaged one is kept beside it. A sound one is not changed.

    Raises:
        UserError: a folder is none of these; with ``repair``, no run, or one that is under way.
    """
    show_status([Path(path) for path in paths], repair=repair)
    return Exit.DONE
