"""The names under which a run saves what its ledger held when its file was lost during the run.

``ledger.saved-N.sqlite`` is all of a ledger, ``ledger.rest-N.sqlite`` what came after one that was
changed by others. ``distill status --repair`` puts both where they belong.
"""

from itertools import count
from pathlib import Path
from typing import Literal

from distill.errors import UserError

Kind = Literal["saved", "rest", "merged", "damaged"]


def beside(path: Path, kind: Kind) -> list[Path]:
    """The files of that kind beside the ledger ``path``, the oldest first."""
    found = path.parent.glob(f"{path.stem}.{kind}-*{path.suffix}")
    return sorted((one for one in found if one.stem.split("-")[-1].isdecimal()), key=_number)


def free(path: Path, kind: Kind) -> Path:
    """A name that nothing has."""
    names = (path.with_name(f"{path.stem}.{kind}-{n}{path.suffix}") for n in count(1))
    return next(name for name in names if not name.exists())


def refuse_saved(path: Path) -> None:
    """Refuses to go on without what a run has saved: it would all be bought again.

    Raises:
        UserError: something is saved beside the ledger ``path``.
    """
    if found := [*beside(path, "saved"), *beside(path, "rest")]:
        msg = (
            f"{found[0]}: an earlier run saved its answers there, when {path.name} was lost or "
            f"changed during it; next: distill status --repair {path.parent} puts them back"
        )
        raise UserError(msg)


def _number(path: Path) -> int:
    return int(path.stem.split("-")[-1])
