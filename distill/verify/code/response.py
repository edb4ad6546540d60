"""Finds the program in a response.

The first of these that exists:

1. the whole response, if it is Python that defines the entry point;
2. the last fenced block, marked as Python or not marked, that defines the entry point. Without an
   entry point (a program that reads its input): of the blocks that are Python and do something, the
   last one that reads input, else the last one; marked blocks before unmarked ones, and those
   before sessions with prompts;
3. a block, or the response, that continues the problem's own code: as it is or indented, and up to
   the first line that is not part of it;
4. the last block marked as Python, although it does not define the entry point or is not Python.

An unclosed block counts, up to the end. If a function is asked for, blocks in other languages never
count. For a program that reads its input see ``script``.
"""

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from distill.verify.code.fences import Block, before_lost_fence, blocks, spaced
from distill.verify.code.languages import named, of_source
from distill.verify.code.source import LONGEST, acts, joined, names, tree

Place = Literal["block", "whole", "completion"]
_GIVES = re.compile(r"\b(return|yield)\b")
_READS = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0|\bread\s*\(\s*0|\bfileinput\b")


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run."""

    source: str
    place: Place
    fault: Literal["", "syntax_error", "no_entry_point"] = ""
    language: str = "python"


def program(
    response: str, *, entry: str | None, prompt: str = "", before: str = ""
) -> Program | None:
    """The program of a response; None if there is none.

    Args:
        response: what follows the thinking.
        entry: the function or class that it has to define; None: it is run as it is.
        prompt: the code that it was asked to continue.
        before: what is put before a program that does not continue it, such as imports.
    """
    blocks = [block for block in fenced(response) if len(block.text) <= LONGEST]
    good = _defines(entry)
    # Fences in a whole program are within its texts; but ``~~~name`` is an expression of Python.
    if ("~~~" not in response or not blocks) and good(whole := spaced(response)):
        return Program(joined(before, whole) if before else whole, "whole")
    if (source := _chosen(blocks, good, entry)) is not None:
        return Program(joined(before, source) if before else source, "block")
    if entry is not None and prompt and (source := _completion(prompt, blocks, response, entry)):
        return Program(source, "completion")
    marked = [block for block in blocks if block.marked and block.text.strip()]
    if not marked or (not marked[-1].closed and tree(marked[-1].text) is None):
        return None
    readable = tree(marked[-1].text) is not None
    fault: Literal["syntax_error", "no_entry_point"] = "no_entry_point"
    return Program(marked[-1].text, "block", fault if readable else "syntax_error")


def script(response: str, *, language: str = "") -> Program | None:
    """A program that reads its input, in any language or only in ``language``.

    Between the best in Python and the last in another language: the one that is a complete program;
    if both are, the later one; if neither is, Python.
    """
    python = None if language not in ("", "python") else program(response, entry=None)
    other = _other(response, language)
    if python is None or other is None:
        return python or (Program(other.text, "block", language=other.language) if other else None)
    every = list(blocks(response))
    ours = [n for n, one in enumerate(every) if one.text.strip() == python.source.strip()]
    reads = bool(_READS.search(python.source)) and not python.fault
    theirs = [n for n, one in enumerate(every) if one.text == other.text]
    later = not ours or theirs[-1] > ours[-1]
    if not _whole(other) or (reads and not later):
        return python
    return Program(other.text, "block", language=other.language)


def _other(response: str, language: str) -> Block | None:
    """The last block in another language that is a complete program, else the last one."""
    found = []
    for one in blocks(response):
        name = one.language
        if not name and tree(one.text) is None:
            name = of_source(one.text)
        name = "cpp" if name == "c" and language == "cpp" else name
        if name not in ("", "python") and (not language or name == language):
            found.append(replace(one, language=name))
    found = [one for one in found if one.text.strip() and len(one.text) <= LONGEST]
    return next((one for one in reversed(found) if _whole(one)), found[-1] if found else None)


def _whole(block: Block) -> bool:
    return all(one.search(block.text) for one in named(block.language).whole)


def fenced(response: str) -> Iterator[Block]:
    """The blocks that are marked as Python or not marked, in order."""
    return (one for one in blocks(response) if one.language in ("", "python"))


def _defines(entry: str | None) -> Callable[[str], bool]:
    def good(source: str) -> bool:
        module = tree(source)
        if module is None:
            return False
        return acts(module) if entry is None else entry in names(module)

    return good


def _chosen(blocks: list[Block], good: Callable[[str], bool], entry: str | None) -> str | None:
    fit = []
    for block in blocks:
        for text in dict.fromkeys((block.text, textwrap.dedent(block.text))):
            if good(text):
                fit.append((block, text))
                break
    if not fit:
        return None
    if entry is not None:
        return fit[-1][1]

    def rank(place: int) -> tuple[bool, bool, bool, int]:
        block, text = fit[place]
        return block.marked, not block.shown, bool(_READS.search(text)), place

    return fit[max(range(len(fit)), key=rank)][1]


def _completion(prompt: str, blocks: list[Block], response: str, entry: str) -> str | None:
    """The problem's code with its continuation."""
    if entry not in names(tree(prompt + "\n    pass\n") or ast.Module([], [])):
        return None
    lost = spaced(before_lost_fence(response))
    texts = [(lost, False), *((block.text, True) for block in reversed(blocks) if not block.shown)]
    for text, is_code in texts if lost or blocks else [(spaced(response), False)]:
        for body in _bodies(text.strip("\n"), is_code=is_code):
            if (whole := _longest(prompt, body)) is not None:
                return whole
    return None


def _bodies(text: str, *, is_code: bool) -> Iterator[str]:
    """The text as the body of a function: servers strip the indent of the first line."""
    if text[:1].isspace():
        yield text
    elif is_code or _GIVES.search(text):  # a single word would be Python too
        first, *rest = text.split("\n")
        if all(not line or line[0].isspace() for line in rest):
            yield "\n".join(["    " + first, *rest])
        yield textwrap.indent(text, "    ")


def _longest(prompt: str, rest: str) -> str | None:
    """With all of it, or with its lines before the first that is not indented."""
    end = "" if prompt.endswith("\n") else "\n"
    lines = rest.split("\n")
    cut = next((n for n, line in enumerate(lines) if n and line and not line[0].isspace()), None)
    for part in (lines, lines[:cut]):
        whole = prompt + end + "\n".join(part) + "\n"
        if any(line.strip() for line in part) and tree(whole) is not None:
            return whole
    return None
