"""How a response must be laid out: paragraphs, bullets, sections, JSON, marks around the whole.

Every check takes linear time, whatever the response holds.
"""

import json
import re

from distill.verify.instructions.asked import LONGEST_WORD, Asked

_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_ONE_STAR = re.compile(r"\*[^\n*]*\*")
_TWO_STARS = re.compile(r"\*\*[^\n*]*\*\*")
_FENCES = ("```json", "```Json", "```JSON", "```")
SIX_STARS = "******"


def paragraphs(asked: Asked, response: str) -> bool:
    """Exactly so many between lines of three asterisks; an empty one is allowed at either end."""
    parts = [bool(part.strip()) for part in _DIVIDER.split(response)]
    if not all(parts[1:-1]):
        return False
    return sum(parts) == asked.number("num_paragraphs")


def bullets(asked: Asked, response: str) -> bool:
    """Exactly so many lines that begin with one asterisk or with a hyphen."""
    lines = [line.lstrip() for line in response.split("\n")]
    count, rest = sum(line.startswith("-") for line in lines), iter(lines)
    for line in rest:
        if line == "*":  # its text is on the next line
            count += next(rest, None) is not None
        elif line.startswith("*"):
            count += line[1] != "*"
    return count == asked.number("num_bullets")


def highlights(asked: Asked, response: str) -> bool:
    """At least so many *texts* or **texts** between asterisks on one line."""
    one = sum(bool(found.strip("*").strip()) for found in _ONE_STAR.findall(response))
    two = sum(bool(found[2:-2].strip()) for found in _TWO_STARS.findall(response))
    return one + two >= asked.number("num_highlights")


def sections(asked: Asked, response: str) -> bool:
    """At least so many of "Section 1", with the word that the reference names."""
    wanted = asked.number("num_sections")
    mark = asked.text("section_spliter", most=LONGEST_WORD)
    return len(re.findall(re.escape(mark) + r"\s?\d+", response)) >= wanted


def is_json(asked: Asked, response: str) -> bool | str:
    """All of it one JSON value, perhaps in a fence."""
    text = response.strip()
    for fence in _FENCES:
        text = text.removeprefix(fence)
    try:
        # numbers stay text, because Python refuses to read more than 4,300 digits
        json.loads(text.removesuffix("```").strip(), parse_int=str)
    except RecursionError:
        return "too_deep"
    except ValueError:
        return False
    return True


def two_responses(asked: Asked, response: str) -> bool:
    """Two different ones with six asterisks between; an empty part is allowed at either end."""
    parts = [part.strip() for part in response.split(SIX_STARS)]
    if not all(parts[1:-1]):
        return False
    given = [part for part in parts if part]
    return len(given) == 2 and given[0] != given[1]


def quoted(asked: Asked, response: str) -> bool:
    """All of it between double quotation marks."""
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'
