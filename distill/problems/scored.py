"""The reference of a generated problem: its answer, with its task where only the task can tell.

Does not generate and does not score: a library in a jail does that.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distill.errors import UserError
from distill.verify.batch import SEVERAL
from distill.verify.isolation import JAILED, Isolation
from distill.verify.math.values import is_plain, read
from distill.verify.workers.asked import Answer, Said, answers

LONGEST = 4_096  # characters of a reference with its task; it stands in every row
# Where in its set a problem stands: the same question made twice has one reference, not two.
PLACE = ("source_dataset", "source_index")
TRIES = 3  # of a scorer that ran out of time, so that no reference depends on luck


def references(
    task: str,
    problems: Any,
    entries: Sequence[Mapping[str, Any]],
    *,
    isolation: Isolation = JAILED,
) -> list[str | None]:
    """Of each its answer as text, or ``{"task", "answer", "metadata"}``; None where it has none.

    With its task where a text cannot tell: the task has its own scorer, because several answers or
    orders may be right. A number stays a text and is compared exactly. So does an answer whose
    task is too large, is no JSON, or is not right by that scorer once it has been JSON.

    Args:
        task: the generator's name.
        problems: the generator, a ``reasoning_gym.dataset.ProceduralDataset``.
        entries: of its problems.
        isolation: of the scorer.

    Raises:
        UserError: there is a scorer to ask and no jail here, or none that can load it.
    """
    found = [None if one["answer"] is None else str(one["answer"]) for one in entries]
    if not _has_scorer(problems):
        return found
    pairs = zip(found, entries, strict=True)
    wholes = [None if text is None else _whole(task, text, one) for text, one in pairs]
    asked = {number: whole for number, whole in enumerate(wholes) if whole is not None}
    if not asked:
        return found
    jobs = [{**json.loads(whole), "given": found[number]} for number, whole in asked.items()]
    for (number, whole), heard in zip(asked.items(), _heard(task, jobs, isolation), strict=True):
        if isinstance(heard, Said) and heard.same:
            found[number] = whole
    return found


def _whole(task: str, text: str, entry: Mapping[str, Any]) -> str | None:
    """With its task; None where a text tells as much, or all that there is room for."""
    value = read(text)
    if value is None or is_plain(value):
        return None
    metadata = {key: part for key, part in entry["metadata"].items() if key not in PLACE}
    try:
        whole = json.dumps({"task": task, "answer": text, "metadata": metadata}, ensure_ascii=False)
    except (TypeError, ValueError):
        return None
    return whole if len(whole) <= LONGEST else None


def _heard(task: str, jobs: Sequence[Mapping[str, Any]], isolation: Isolation) -> list[Answer]:
    heard: list[Answer] = ["timeout"] * len(jobs)
    for _ in range(TRIES):
        late = [n for n, one in enumerate(heard) if one in ("timeout", "jail_failed")]
        if not late:
            break
        said, lacking = answers(
            "gym", [jobs[n] for n in late], workers=SEVERAL, isolation=isolation
        )
        if lacking:
            msg = f"problems.reasoning_gym: {task}: its answers cannot be scored: {lacking}"
            raise UserError(msg)
        for number, one in zip(late, said, strict=True):
            heard[number] = one
    return heard


def _has_scorer(problems: Any) -> bool:
    """Whether its scorer is more than the library's comparison of texts."""
    from reasoning_gym.dataset import ProceduralDataset

    return type(problems).score_answer is not ProceduralDataset.score_answer
