"""Which language a response is in, judged by its script and by English's commonest words.

Languages that share a script are not told apart: Spanish and Italian, Hindi and Marathi, Russian
and Ukrainian.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

from distill.verify.instructions.asked import Asked

MOSTLY, HARDLY = 0.9, 0.1  # shares of a response's letters; between them it is unclear
FEWEST = 10  # letters that are needed to decide
# ISO 639-1 code → the scripts it is written in, as the first words of Unicode's letter names.
SCRIPTS = {
    **dict.fromkeys(("ar", "fa", "ur"), ("ARABIC",)),
    **dict.fromkeys(("bg", "ru", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)),
    **dict.fromkeys(("de", "en", "es", "fi", "fr", "it", "pl", "pt", "sw", "vi"), ("LATIN",)),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "gu": ("GUJARATI",),
    "he": ("HEBREW",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA"),
    "kn": ("KANNADA",),
    "ko": ("HANGUL",),
    "ml": ("MALAYALAM",),
    "pa": ("GURMUKHI",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "zh": ("CJK",),
}
# Languages that are alone in their script, among those that a prompt is likely to ask for.
ALONE = frozenset(("bn", "el", "gu", "he", "kn", "ko", "ml", "pa", "ta", "te", "th"))
KANA = 0.05  # share of kana from which Chinese characters are Japanese
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
# The commonest words of English that are not words of related languages.
_ENGLISH = frozenset(
    re.findall(
        r"\S+",
        "the and with that this these those you your they their them are were from have has had "
        "been which would should could because through when what about into than then there",
    )
)
KINDS, SHARE = 4, 0.08  # a text is English with so many different ones, making up this share


def response_language(asked: Asked, response: str) -> bool | str:
    """Right or wrong by script where that can decide."""
    language = asked.text("language", most=20).lower()
    if language not in SCRIPTS:
        return "language_unclear"
    return _is_in(language, response)


def english_capital(asked: Asked, response: str) -> bool | str:
    """No small letter; and English, which is unclear if its commonest words are missing."""
    return _is_in("en", response) if response.isupper() else False


def english_lowercase(asked: Asked, response: str) -> bool | str:
    """No capital; and English, as in ``english_capital``."""
    return _is_in("en", response) if response.islower() else False


def _is_in(language: str, text: str) -> bool | str:
    shares = _scripts(text)
    if shares is None:
        return "language_unclear"
    own = sum(shares[script] for script in SCRIPTS[language])
    if own <= HARDLY:
        return False
    if own < MOSTLY:
        return "language_unclear"
    if language in ("ja", "zh"):
        kana = shares["HIRAGANA"] + shares["KATAKANA"]
        return (kana >= KANA) == (language == "ja") or "language_unclear"
    if language in ALONE:
        return True
    if SCRIPTS[language] == ("LATIN",) and _is_english(text):
        return language == "en"
    return "language_unclear"


def _scripts(text: str) -> Counter[str] | None:
    """The share of each script among the letters; None if there are too few letters."""
    letters = Counter(char for char in text if char.isalpha())
    total = letters.total()
    if total < FEWEST:
        return None
    shares: Counter[str] = Counter()
    for letter, count in letters.items():
        shares[_script(letter)] += count / total  # type: ignore[assignment]
    return shares


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _is_english(text: str) -> bool:
    words = _WORD.findall(text.lower().replace("’", "'"))
    common = [word for word in words if word in _ENGLISH]
    return len(set(common)) >= KINDS and len(common) >= SHARE * len(words)
