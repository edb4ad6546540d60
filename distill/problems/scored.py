"""The reference of a generated problem: its answer, with its task where only the task can tell.

Does not generate and does not grade: ``verify.scorers`` does.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from distill.verify.scorers import load
from distill.verify.symbolic import Reply
from distill.verify.values import is_plain, read

LONGEST = 4_096  # characters of a reference with its task; it stands in every row
# Where in its set a problem stands: the same question made twice has one reference, not two.
PLACE = ("source_dataset", "source_index")


def reference(task: str, problems: Any, entry: Mapping[str, Any]) -> str | None:
    """The answer as text, or ``{"task", "answer", "metadata"}``; None where the task gives none.

    With its task where a text cannot tell: the task has a scorer of its own, as several answers or
    orders may be right. A number stays a text and is compared exactly. So does an answer whose
    task is too large, is no JSON, or is not right by that scorer once it has been JSON.

    Args:
        task: the generator's name.
        problems: the generator, a ``reasoning_gym.dataset.ProceduralDataset``.
        entry: one of its problems.
    """
    if entry["answer"] is None:
        return None
    text = str(entry["answer"])
    value = read(text)
    if not _has_scorer(problems) or value is None or is_plain(value):
        return text
    metadata = {key: part for key, part in entry["metadata"].items() if key not in PLACE}
    try:
        whole = json.dumps({"task": task, "answer": text, "metadata": metadata}, ensure_ascii=False)
    except (TypeError, ValueError):
        return text
    if len(whole) > LONGEST:
        return text
    return whole if _scorers()({**json.loads(whole), "given": text})["same"] else text


@cache
def _scorers() -> Callable[[Mapping[str, Any]], Reply]:
    return load()  # it keeps each task's scorer


def _has_scorer(problems: Any) -> bool:
    """Whether its scorer is more than the library's comparison of texts."""
    from reasoning_gym.dataset import ProceduralDataset

    return type(problems).score_answer is not ProceduralDataset.score_answer
