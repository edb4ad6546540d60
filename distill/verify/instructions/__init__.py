"""Checks whether a response follows instructions that a rule can check, as in IFEval.

The reference holds google/IFEval's two columns as JSON, ``{"instruction_id_list": [...], "kwargs":
[...]}`` (Zhou et al., Instruction-Following Evaluation for Large Language Models, 2023). A keyword
is plain text, never a pattern.

    asked     reads a reference, within bounds
    content   keywords, letters, placeholders, what must be said word for word
    layout    paragraphs, bullets, sections, JSON, marks around the whole
    amounts   words, sentences, words in capitals
    tongue    languages, as far as their script tells them apart
    table     one function for each of the 25 instructions

The result is that of IFEval's strict check. Where that check relies on chance or on a language
model, it is ``unverifiable`` unless every reading gives the same result.
"""

import time
from collections.abc import Sequence

from distill.verify.instructions.asked import Asked, Unusable, asked
from distill.verify.instructions.table import TABLE
from distill.verify.verdict import Verdict

LIMIT_S = 5.0  # CPU time of one response; 64 instructions on the longest one take up to 2
METHOD = "instructions"
LONGEST = 200_000  # characters of a response; the longest answers of R1 have about 130,000


def instructions(gold: str, response: str) -> Verdict:
    """Correct if all hold; else wrong, and ``detail`` names the first that does not.

    >>> gold = '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}'
    >>> instructions(gold, "Well, no.").detail, instructions(gold, "No.").label
    ('punctuation:no_comma', 'correct')
    """
    wanted = asked(gold)
    if wanted is None:
        return Verdict("unverifiable", None, "unreadable_gold")
    if not response.strip():
        return Verdict("no_answer", None, "none_found")
    if len(response) > LONGEST:
        return Verdict("unverifiable", None, "too_long")
    try:
        found = _all(wanted, response)
    except Unusable as error:
        return Verdict("unverifiable", None, "unreadable_gold", str(error))
    if len(found) < len(wanted):
        return Verdict("timeout", None, "killed", wanted[len(found)].name)
    for name, holds in found:
        if holds is False:
            return Verdict("wrong", None, METHOD, name)
    for name, holds in found:
        if isinstance(holds, str):
            return Verdict("unverifiable", None, holds, name)
    return Verdict("correct", None, METHOD)


def usable(gold: str) -> Verdict:
    """Whether a reference can be checked against at all: ``correct`` if so.

    >>> usable('{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}').label
    'correct'
    """
    found = instructions(gold, "x")
    if found.method in ("unreadable_gold", "unknown_instruction"):
        return found
    return Verdict("correct", None, "not_run")


def _all(wanted: Sequence[Asked], response: str) -> list[tuple[str, bool | str]]:
    """Whether each holds; only the first ones if the time is over."""
    until, found = time.thread_time() + LIMIT_S, list[tuple[str, bool | str]]()
    for one in wanted:
        if time.thread_time() > until:
            break
        found.append((one.name, _holds(one, response)))
    return found


def _holds(one: Asked, response: str) -> bool | str:
    check = TABLE.get(one.name)
    return "unknown_instruction" if check is None else check(one, response)
