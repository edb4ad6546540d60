"""What a response must or must not say: keywords, letters, placeholders, phrases, a title.

Every check takes linear time, whatever the response holds.
"""

import re

from distill.verify.instructions.asked import LONGEST_WORD, Asked

NTH = "nth_paragraph"
# IFEval's options of "constrained_response".
OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_POSTSCRIPTS = {"P.P.S": re.compile(r"p\.\s?p\.\s?s"), "P.S.": re.compile(r"p\.\s?s\.")}


def has_keywords(asked: Asked, response: str) -> bool:
    """All of them, in any case, even within longer words."""
    text = response.lower()
    return all(word.lower() in text for word in asked.words("keywords"))


def keyword_frequency(asked: Asked, response: str) -> bool:
    """Occurrences in any case, even within longer words ("war" in "toward")."""
    word = asked.text("keyword", most=LONGEST_WORD)
    count = response.lower().count(word.lower())
    return asked.compares(count, number="frequency", relation="relation")


def lacks_forbidden(asked: Asked, response: str) -> bool:
    """None of them as a word of its own, in any case."""
    text = response.lower()
    return not any(_has_word(text, word.lower()) for word in asked.words("forbidden_words"))


def _has_word(text: str, word: str) -> bool:
    if word not in text:  # in linear time
        return False
    before, after = (r"\b" if char.isalnum() or char == "_" else "" for char in (word[0], word[-1]))
    return re.search(before + re.escape(word) + after, text) is not None


def letter_frequency(asked: Asked, response: str) -> bool:
    """Counts one character in any case; unlike its code, IFEval's data has "!" and "#" too."""
    letter = asked.text("letter", most=1)
    count = response.lower().count(letter.lower())
    return asked.compares(count, number="let_frequency", relation="let_relation")


def placeholders(asked: Asked, response: str) -> bool:
    """At least so many [texts in square brackets], each within one line."""
    return sum(map(_bracketed, response.split("\n"))) >= asked.number("num_placeholders")


def _bracketed(line: str) -> int:
    count, at = 0, line.find("[")
    while at >= 0:
        end = line.find("]", at)
        if end < 0:
            break
        count, at = count + 1, line.find("[", end)
    return count


def postscript(asked: Asked, response: str) -> bool:
    """The marker anywhere; P.S. and P.P.S also with a space between."""
    marker = asked.text("postscript_marker")
    if marker in _POSTSCRIPTS:
        return _POSTSCRIPTS[marker].search(response.lower()) is not None
    return marker.lower() in response.lower()


def constrained(asked: Asked, response: str) -> bool:
    """One of IFEval's three answers, word for word, anywhere."""
    return any(option in response for option in OPTIONS)


def title(asked: Asked, response: str) -> bool:
    """<<A title>> in double angular brackets, on one line."""
    return any(map(_is_titled, response.split("\n")))


def _is_titled(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return start >= 0 and end > start + 2 and bool(line[start:end].lstrip("<").rstrip(">").strip())


def repeats_prompt(asked: Asked, response: str) -> bool:
    """The prompt first, word for word but in any case."""
    prompt = asked.text("prompt_to_repeat")
    return response.strip().lower().startswith(prompt.lower())


def ends(asked: Asked, response: str) -> bool:
    """Ends with the phrase, in any case; quotation marks around the whole do not count."""
    phrase = asked.text("end_phrase").lower()
    return response.strip().strip('"').lower().endswith(phrase)


def no_comma(asked: Asked, response: str) -> bool:
    """Holds no ASCII comma."""
    return "," not in response


def first_word(asked: Asked, response: str) -> bool:
    """The number of paragraphs, with empty lines between them, and the first word of one."""
    wanted, number = asked.number("num_paragraphs"), asked.number(NTH)
    word = asked.text("first_word", most=LONGEST_WORD).lower()
    if not 0 < number <= wanted:
        raise asked.lacks(NTH)
    paragraphs = response.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != wanted:
        return False
    found = paragraphs[number - 1].split()[:1]  # as in IFEval, empty ones are counted here
    if not found:
        return False
    return re.split(r"[.,?!'\"]", found[0].lstrip("'").lstrip('"'), maxsplit=1)[0].lower() == word
