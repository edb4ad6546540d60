"""Reads what a prompts recipe asks: a file, a Hub data set, generated problems, or traces.

    sources       the source that a recipe names, and what identifies its content
    columns       SQL over the source's columns: where, and which are id, question and gold
    questions     no empty question, no repeat, no contradiction
    golds         is a reference answer right by its own check?
    placeholders  does it stand for a missing one?
    draw          that many of the problems, chosen by a seed
    rounds        traces as the prompts of another round
    left_out      what is left out, and why
    read          all of it together

Prompts are rendered in ``distill.generating``.
"""

from distill.problems.left_out import LeftOut
from distill.problems.read import ProblemSet, problem_set, read_problems

__all__ = ["LeftOut", "ProblemSet", "problem_set", "read_problems"]
