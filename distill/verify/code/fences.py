"""Finds the fenced blocks of a response.

A fence within a text or a comment of the program does not end its block. If the first fence is a
closing one, because the opening one was left in the thinking, what is before it is a block too.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from distill.verify.code.languages import of_mark, of_source
from distill.verify.code.source import acts, tree

_FENCE = re.compile(r"[ \t]{0,12}(`{3,}+|~{3,}+)[ \t]*+([^\n`]*+)\Z")
_MARK_END = re.compile(r"[\s,;:={}()\]]")
_SESSIONS = (
    "pycon",
    "python-repl",
    "python-console",
    "doctest",
    "text",
    "txt",
    "plaintext",
    "code",
)
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.|In \[[0-9]+\]:| {1,8}\.{3,}:)(?: |$)")
_MAGIC = re.compile(r"[ \t]*(?:%%?[a-z]|![a-z])")
# Spaces that no language takes for one, and marks without width; those between quotes stay.
_ODD = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000\u200b-\u200d\u2060\ufeff"
_OUTSIDE = re.compile(rf"\"[^\"\n]*\"|'[^'\n]*'|[{_ODD}]")
_WIDTHLESS = "\u200b\u200c\u200d\u2060\ufeff"
# A line that may begin a program after words.
_BEGINS = re.compile(
    r"(?:from|import|def|class|async|if|for|while|with|try|package|use|using|public|fn|func|const"
    r"|let|var|int|void|static)\b|[@#/]|[A-Za-z_][\w., ]{0,60}="
)
STARTS, ENDS = 6, 6  # lines that are tried as the first of a program, and fences as its end
TRIES = 8  # blocks of one response that may go on after a closing fence


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    text: str
    language: str  # as it is marked: python, another of ``languages``, or nothing
    closed: bool
    shown: bool = False  # marked as text, or a session with prompts: rather an example

    @property
    def marked(self) -> bool:
        """As Python."""
        return self.language == "python"


def blocks(response: str) -> Iterator[Block]:
    """The blocks that are unmarked or marked as a language that can be run, in order."""
    lines = _lines(response)
    fences = [n for n, line in enumerate(lines) if _FENCE.match(line)]
    at, head = _head(lines, fences)
    if head is not None:
        yield head
    tries = TRIES
    for place, start in enumerate(fences):
        found = _FENCE.match(lines[start])
        if start < at or found is None:
            continue
        name, shown, known = _language(found[2])
        later = map(fences.__getitem__, range(place + 1, len(fences)))
        closing = list(islice((n for n in later if _closes(lines[n], found[1])), ENDS))
        end = closing[0] if closing else len(lines)
        if tries and known and _within(lines[start + 1 : end], name):
            end, tries = _end(lines, start + 1, closing, name), tries - 1
        if known:
            text = "\n".join(lines[start + 1 : end]) + "\n"
            yield _block(text, name, closed=end < len(lines), shown=shown)
        at = end + 1


def before_lost_fence(response: str) -> str:
    """What is before the first fence, if that has no opening one; else ``""``."""
    lines = _lines(response)
    fences = [n for n, line in enumerate(lines) if _FENCE.match(line)]
    if len(fences) % 2 == 0 or not _bare(lines[fences[0]]):
        return ""
    return "\n".join(lines[: fences[0]])


def readable(text: str) -> str:
    r"""Python with plain spaces, without prompts and notebook commands; unchanged if it is Python.

    >>> readable(">>> def f():\n...     return 1\n>>> f()\n1\n")
    'def f():\n    return 1\nf()'
    """
    if _runs(text):
        return text
    for changed in (spaced(text), _typed(spaced(text))):
        if changed != text and _runs(changed):
            return changed
    return text


def spaced(text: str) -> str:
    """The text with plain spaces for all others outside quotes, and without a byte order mark.

    Unchanged if it is Python.
    """
    if text.isascii() or tree(text) is not None:
        return text

    def plain(found: re.Match[str]) -> str:
        odd = found[0]
        return odd if len(odd) > 1 else "" if odd in _WIDTHLESS else " "

    return _OUTSIDE.sub(plain, text)


def _typed(text: str) -> str:
    """Of a session with prompts, what was typed; of a notebook's cell, its Python."""
    lines = text.split("\n")
    if any(line.lstrip().startswith((">>>", "In [")) for line in lines):
        found = [(line, _PROMPT.match(line)) for line in lines]
        return "\n".join(line[prompt.end() :] for line, prompt in found if prompt)
    return "\n".join("" if _MAGIC.match(line) else line for line in lines)


def _runs(text: str) -> bool:
    return tree(textwrap.dedent(text)) is not None


def _lines(response: str) -> list[str]:
    """Its lines; a fence at the end of another line gets its own if one is missing."""
    text = response.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    lines = text.split("\n")
    count = sum(1 for line in lines if _FENCE.match(line))
    return [part for line in lines for part in _split(line)] if count % 2 or not count else lines


def _split(line: str) -> list[str]:
    text, fence, mark = line.rpartition("```")
    if text.strip() and "`" not in text and (not mark.strip() or of_mark(mark)):
        return [text, fence + mark]
    return [line]


def _bare(line: str) -> bool:
    found = _FENCE.match(line)
    return found is not None and not found[2].strip()


def _closes(line: str, fence: str) -> bool:
    return _bare(line) and line.strip().startswith(fence)


def _head(lines: list[str], fences: list[int]) -> tuple[int, Block | None]:
    """The program before a closing fence that was never opened, and the line after that fence.

    The fences after it have to be pairs, and those before it can only be within its texts.
    """
    first = lines[: fences[0]] if fences else []
    begin = next((n for n, line in enumerate(first) if line.strip()), None)
    if begin is None:
        return 0, None
    name = of_mark(lines[begin])
    begin += bool(name)
    later = (n for n, line in enumerate(first) if n > begin and _BEGINS.match(line))
    starts = list(islice(chain((begin,), later), STARTS))
    ends = [n for place, n in enumerate(fences) if (len(fences) - place) % 2 and _bare(lines[n])]
    for end in ends[:ENDS]:
        for start in starts:
            text = "\n".join(lines[start:end]) + "\n"
            if (language := _spoken(text, name)) and text.strip():
                return end + 1, _block(text, language, closed=True)
    return 0, None


def _spoken(text: str, name: str) -> str:
    """The language of a text that is a program of that name, if it has one; else ``""``."""
    if name not in ("", "python"):
        return name
    module = tree(textwrap.dedent(spaced(text)))
    if module is not None:
        return "python" if acts(module) else ""
    return "" if name or not _BEGINS.match(text) else of_source(text)


def _end(lines: list[str], start: int, closing: list[int], name: str) -> int:
    """The line of the first closing fence that is not within a text or comment of the program."""
    ends = [*closing, len(lines)]
    return next((n for n in ends[1:] if not _within(lines[start:n], name)), ends[0])


def _within(lines: list[str], name: str) -> bool:
    """Whether the lines may end within a text or a comment."""
    text = "\n".join(lines)
    if name in ("", "python") and ('"""' in text or "'''" in text):
        return not _runs(spaced(text))
    return name != "python" and text.count("/*") > text.count("*/")


def _language(mark: str) -> tuple[str, bool, bool]:
    """The language of a mark, whether it shows an example, and whether it can be a program."""
    first = _MARK_END.split(mark.strip().lower().lstrip("{.["), maxsplit=1)[0]
    name = of_mark(first)
    shown = first in _SESSIONS
    return name, shown, not first or bool(name) or shown


def _block(text: str, name: str, *, closed: bool, shown: bool = False) -> Block:
    if name not in ("", "python"):
        return Block(spaced(text), name, closed)
    plain = readable(text)
    session = plain != text and any(one in text for one in (">>> ", "In ["))
    return Block(plain, "" if session else name, closed, shown or session)
