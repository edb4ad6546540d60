"""The user's own checks: functions in files beside a recipe, called like the shipped ones."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill.errors import UserError
from distill.recipes.code import Code, CodeError, check_parts, read_code, refuse_repeated
from distill.recipes.places import Origin
from distill.verify.verdict import LABELS, Verdict

log = logging.getLogger("distill")
_WARNED: set[str] = set()  # lines whose failure this process has already reported


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """One function of a file; picklable."""

    code: Code
    function: str

    @property
    def kind(self) -> str:
        """The name that rows give it, e.g. ``my_check.py:grade``."""
        return f"{self.code.name}:{self.function}"

    def __call__(self, gold: str, response: str) -> Verdict:
        """Its verdict on one answer; ``error`` if it raises.

        Raises:
            UserError: it returns no verdict, or calls a function of distill that cannot work here.
        """
        try:
            with self.code.blamed():
                said = getattr(self.code.module(), self.function)(gold, response)
                if isinstance(said, Verdict):
                    _texts(said).encode()  # half a surrogate pair cannot be stored
        except CodeError as error:
            if error.where not in _WARNED:
                _WARNED.add(error.where)
                log.warning("%s; such answers have the verdict error", error)
            return Verdict("error", None, "check_failed")
        if not isinstance(said, Verdict) or not _sound(said):
            msg = (
                f"{self.code.path}: {self.function} returned {said!r:.80}; return "
                f"distill.Verdict(label, answer, method), with a label of {', '.join(LABELS)}"
            )
            raise UserError(msg)
        return said


Checks = Sequence[OwnCheck]


def own_checks(named: Mapping[str, str], origin: Origin, *, allowed: bool) -> Checks:
    """The user's own checks among those that a recipe names (key → check), loaded.

    Raises:
        UserError: a file cannot be used or may not run, or has no such function of two arguments.
    """
    found = []
    for key, name in named.items():
        parts = check_parts(name)
        if parts is not None:
            found.append(OwnCheck(read_code(parts[0], key, origin, allowed=allowed), parts[1]))
    refuse_repeated([one.kind for one in found], "checks", origin)
    for one in found:
        _refuse_unusable(one)
    return tuple(found)


def unchecked(kind: str) -> Verdict:
    """The verdict on a row whose check is not loaded; that is data, not a mistake in a recipe."""
    method = "no_checker" if check_parts(kind) is None else "no_such_check"
    return Verdict("unverifiable", None, method, kind)


def digests(checks: Checks) -> dict[str, str]:
    """The digest of each check's file, on which its verdicts depend."""
    return {one.kind: one.code.digest for one in checks}


def _refuse_unusable(check: OwnCheck) -> None:
    function = getattr(check.code.module(), check.function, None)
    try:
        inspect.signature(function).bind("gold", "response")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        msg = f"{check.code.path}: write def {check.function}(gold: str, response: str) -> Verdict"
        raise UserError(msg) from None


def _sound(said: Verdict) -> bool:
    texts = (said.method, said.detail, "" if said.answer is None else said.answer)
    return said.label in LABELS and all(isinstance(text, str) for text in texts)


def _texts(said: Verdict) -> str:
    return f"{said.method}{said.detail}{said.answer}"
