"""A check that waits for a library's reply, and the verdict that the reply gives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from distill.verify.isolation import UNSAFE, Isolation
from distill.verify.verdict import Verdict
from distill.verify.workers.asked import Answer, Said
from distill.verify.workers.services import Kind

# Why a "no" does not prove a wrong answer; "" if it does.
Doubt = Literal["", "unproved", "other_form"]


@dataclass(frozen=True, slots=True)
class PendingCheck:
    """A question for a library in a jail: Math-Verify (``math``) or a task's scorer (``gym``)."""

    kind: Kind
    job: Mapping[str, Any]
    answer: str  # as written in the response
    place: str
    doubt: Doubt = ""

    def verdict(self, heard: Answer, isolation: Isolation) -> Verdict:
        """The verdict on the answer by the reply, or by its failure."""
        found = self._decided(heard) if isinstance(heard, Said) else self._failed(heard)
        if not isolation.unsafe_no_sandbox or heard == "missing":
            return found
        return replace(found, detail=f"{UNSAFE}: {found.detail}")

    def _failed(self, heard: str) -> Verdict:
        match heard:
            case "timeout":
                return Verdict("timeout", self.answer, "killed", self.place)
            case "memory":
                return Verdict("timeout", self.answer, "memory", self.place)
            case "missing":
                method = "needs_symbolic" if self.kind == "math" else "needs_scorer"
                return Verdict("unverifiable", self.answer, method, self.place)
            case "too_large":
                return Verdict("unverifiable", self.answer, heard, self.place)
            case "died":
                return Verdict("unverifiable", self.answer, "scorer_died", self.place)
        return Verdict("error", self.answer, "jail_failed", self.place)

    def _decided(self, heard: Said) -> Verdict:
        method = "math_verify" if self.kind == "math" else "scorer"
        if heard.same is None:
            return Verdict("unverifiable", self.answer, heard.why, self.place)
        if heard.same:
            return Verdict("correct", self.answer, method, self.place)
        if self.doubt:
            return Verdict("unverifiable", self.answer, self.doubt, self.place)
        return Verdict("wrong", self.answer, method, self.place)
