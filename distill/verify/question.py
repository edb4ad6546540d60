"""An answer that numbers, strings and values at points could not judge: what is asked, and heard.

Starts no worker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distill.verify.verdict import Verdict
from distill.verify.workers import Answer

# Why a "no" is no proof of a wrong answer. "" where it is one.
Doubt = Literal["", "prose", "relation_or_value", "brackets", "rounded", "other_form"]


@dataclass(frozen=True, slots=True)
class Question:
    """For a worker: by Math-Verify (``math``) or by a task's own scorer (``gym``)."""

    kind: Literal["math", "gym"]
    job: Mapping[str, Any]
    answer: str  # as it stands in the response
    place: str
    doubt: Doubt = ""

    def verdict(self, heard: Answer) -> Verdict:
        """What the worker's reply, or its failure, says about the answer."""
        if heard == "timeout":
            return Verdict("timeout", self.answer, "killed", self.place)
        if heard == "died":
            return Verdict("error", self.answer, "worker_died", self.place)
        if heard == "missing":
            method = "needs_symbolic" if self.kind == "math" else "needs_scorer"
            return Verdict("unverifiable", self.answer, method, self.place)
        return self._decided(heard)

    def _decided(self, heard: Mapping[str, Any]) -> Verdict:
        method = "math_verify" if self.kind == "math" else "scorer"
        if heard.get("why") == "memory":
            return Verdict("timeout", self.answer, "memory", self.place)
        if heard["same"] is None:
            return Verdict("unverifiable", self.answer, heard["why"], self.place)
        if heard["same"]:
            return Verdict("correct", self.answer, method, self.place)
        if self.doubt:
            return Verdict("unverifiable", self.answer, self.doubt, self.place)
        return Verdict("wrong", self.answer, method, self.place)
