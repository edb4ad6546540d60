"""Asks the libraries in the jails many questions at once, and validates every reply."""

import builtins
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from distill.jail.inside.codec import CodecError, decode, encode
from distill.jail.program import Replied
from distill.jail.service import Missing
from distill.verify.isolation import Isolation
from distill.verify.workers.harmless import harmless
from distill.verify.workers.services import Kind, service
from distill.verify.workers.threads import SCORER_THREADS, Jails

LIMIT_S = 2.0  # wall-clock seconds of one question
# With the wait for its library to load, if it had to wait; it still gets at least half of LIMIT_S.
WHOLE_S = 2.4
TRIES = 2  # of a question whose jail broke

TOGETHER = 64  # questions for one process at most, of those that cannot be programs
ROUNDS = 4  # how often questions that another one cut short are grouped again

Job = Mapping[str, Any]
# timeout, memory: it took more than allowed. died: it ended its process, or sent an invalid reply.
# jail_failed: the jail broke, twice. missing: there is nothing to import. too_large: not sent.
Failed = Literal["timeout", "memory", "died", "jail_failed", "missing", "too_large"]
# Reasons that a library may give for not deciding.
_WHY = ("beyond_sympy", "unreadable", "unreadable_gold")
_RAISED = re.compile("scorer_failed: ([A-Za-z]{1,40})")


@dataclass(frozen=True, slots=True)
class Said:
    """Whether the answer is the same; None with the reason if that is unknown."""

    same: bool | None
    why: str = ""


Answer = Said | Failed


@dataclass(slots=True)
class Batch:
    """Questions of one kind, and the replies so far."""

    kind: Kind
    workers: int
    isolation: Isolation
    heard: dict[bytes, Answer] = field(default_factory=dict)
    culprits: set[bytes] = field(default_factory=set)  # that cut others short
    lacking: str = ""  # the library that is missing

    def ask(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Asks all questions of one group in one process, several groups at once."""

        def work(jails: Jails, place: int) -> None:
            if self.lacking:
                return
            try:
                heard = _asked(jails, self.kind, groups[place])
            except Missing as error:
                self.lacking = str(error)
                return
            self.heard.update(heard)
            self.culprits.update(groups[place][len(heard) : len(heard) + 1])

        places = range(len(groups))
        SCORER_THREADS.each(work, places, workers=self.workers, isolation=self.isolation)


def answers(
    kind: Kind, jobs: Sequence[Job], *, workers: int, isolation: Isolation
) -> tuple[list[Answer], str]:
    """The answer to each question, in order, and the name of a missing library or "".

    Up to ``workers`` questions are asked at once, equal ones only once.

    Raises:
        UserError: no jail is safe here, and ``--unsafe-no-sandbox`` was not given.
    """
    batch = Batch(kind, workers, isolation)
    questions = list(map(_encoded, jobs))
    asked = {one: job for one, job in zip(questions, jobs, strict=True) if one is not None}
    plain = [question for question, job in asked.items() if harmless(job)]
    for _ in range(ROUNDS):
        size = max(1, min(TOGETHER, -(-len(plain) // workers)))
        batch.ask([plain[at : at + size] for at in range(0, len(plain), size)])
        plain = [one for one in plain if one not in batch.heard and one not in batch.culprits]
    batch.ask([(question,) for question in asked if question not in batch.heard])
    found: list[Answer] = [
        "too_large" if one is None else batch.heard.get(one, "missing") for one in questions
    ]
    return found, batch.lacking


def _encoded(job: Job) -> bytes | None:
    """None if it is deeper or larger than any task."""
    try:
        return encode(job)
    except CodecError:
        return None


def _asked(jails: Jails, kind: Kind, group: Sequence[bytes]) -> dict[bytes, Answer]:
    """The answers to a group; if it was cut short, only those before that.

    A question that is alone always gets an answer.
    """
    asked = time.monotonic()
    jail = jails.service(service(kind, jailed=not jails.isolation.unsafe_no_sandbox))
    for _ in range(TRIES):
        jail.wait()
        waited = time.monotonic() - asked
        limit = max(LIMIT_S / 2, min(LIMIT_S, WHOLE_S - waited))
        replied = jail.reply(group, timeout_s=limit)
        if replied.ran.status != "jail_failed":
            break
    return _heard(replied, group)


def _heard(replied: Replied, group: Sequence[bytes]) -> dict[bytes, Answer]:
    """The valid replies: a question may have taken over the process that replied."""
    match replied.ran.status:
        case "timeout" | "memory" | "jail_failed" as status:
            failed: Answer = status
        case _:
            failed = "died"
    if len(group) == 1:
        said = _said(replied.replies[0]) if replied.ran.status == "ended" else None
        return {group[0]: said or failed}
    found: dict[bytes, Answer] = {}
    for question, reply in zip(group, replied.replies, strict=False):
        if (said := _said(reply)) is None:
            break
        found[question] = said
    return found


def _said(reply: bytes) -> Said | None:
    try:
        value = decode(reply, items=2)
    except CodecError:
        return None
    if type(value) is not tuple:
        return None
    match value:
        case (bool(same), ""):
            return Said(same)
        case (None, str(why)) if why in _WHY:
            return Said(None, why)
        case (None, str(why)) if match := _RAISED.fullmatch(why):
            return Said(None, why if _is_exception(match[1]) else "scorer_failed")
    return None


def _is_exception(name: str) -> bool:
    kind = getattr(builtins, name, None)
    return isinstance(kind, type) and issubclass(kind, Exception)
