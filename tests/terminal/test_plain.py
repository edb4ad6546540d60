"""Nothing that a terminal obeys, or that nobody sees, is left in a text; all that is seen stays."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.terminal.plain import plain

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates too
# Characters of interest far more often than chance would have them.
HOSTILE = st.text(
    st.sampled_from("\x00\x07\x08\t\n\x0b\x0c\r\x1b\x7f\x85\x9b\x9d\u200b\u200c\u200d\u200e\u2028")
    | st.sampled_from("\u202a\u202e\u2066\u2069\u061c\ufeff\u034f\u3164\ufe0f\U000e0041\udc9b")
    | st.sampled_from("a1 é中क्👍🏽❤")
)
HARMFUL = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
HONEST = [
    "x² + ½ ≤ π → \\frac{1}{2}",
    "Größe, naïve, Đồng, e\u0301",
    "中文\u3000，日本語、한국어",
    "עברית العربية فارسی می\u200cخواهم ۱۲",
    "हिन्दी क्\u200dष தமிழ் ภาษาไทย བོད་",
    "👩\u200d🔬 👨\u200d👩\u200d👧 👍🏽 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 🇫🇷",
    "10\xa0000\u202f€",
]


@given(ANY | HOSTILE)
def test_nothing_unseen_is_left_whatever_the_text(text: str) -> None:
    shown = plain(text)
    kinds = {unicodedata.category(char) for char in shown}
    assert not kinds & HARMFUL
    left = {char for char in shown if unicodedata.category(char) == "Cf"}
    assert left <= set("\u200c\u200d\u06dd\u070f\u08e2\u0890\u0891\U000110bd") | {
        chr(code) for code in range(0x600, 0x606)
    }
    assert len(shown.splitlines()) <= 1
    assert plain(shown) == shown
    shown.encode()


@given(ANY | HOSTILE)
def test_what_is_seen_stays_and_what_is_not_can_be_read(text: str) -> None:
    assert plain("".join(c for c in text if " " <= c <= "~" or c.isalnum())).isprintable()
    back = plain(text)
    for char in set(text):
        if char not in back:
            assert ascii(char)[1:-1] in back or repr(char)[1:-1] in back


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"], exclude_characters="\u034f")))
def test_text_of_any_script_is_unchanged(text: str) -> None:
    unseen = "\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f"
    text = "".join(c for c in text if c not in unseen and not 0xFE00 <= ord(c) <= 0xFE0F)
    text = "".join(c for c in text if not 0xE0100 <= ord(c) <= 0xE01EF)
    assert plain(text) == text


@pytest.mark.parametrize("text", HONEST)
def test_words_and_emoji_keep_their_joiners(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\x07", "\\x1b]0;pwned\\x07"),
        ("\x1b]8;;http://x\x1b\\here", "\\x1b]8;;http://x\\x1b\\here"),
        ("a\r\n12:00:00 b", "a\\r\\n12:00:00 b"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),
        ("\u202eevil\u2066\u061c\u200f", "\\u202eevil\\u2066\\u061c\\u200f"),
        ("a\u2028b\u2029c\x0bd\x0ce", "a\\u2028b\\u2029c\\x0bd\\x0ce"),
        ("\U000e0041\U000e007f", "\\U000e0041\\U000e007f"),
        ("a\u200bb\u200dc\xadd\ufeff", "a\\u200bb\\u200dc\\xadd\\ufeff"),
        ("\u3164\u115f", "\\u3164\\u115f"),
        ("a\ufe0f\U000e0100", "a\\ufe0f\\U000e0100"),
        ("中\ufe0f\ufe0f", "中\ufe0f\\ufe0f"),
        ("a\udcffb", "a\\udcffb"),
        ("\ue000\U0010ffff", "\\ue000\\U0010ffff"),
        ("", ""),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_what_is_wanted_is_kept_and_nothing_else() -> None:
    assert plain("a\tb\r\n\x1bc", keep="\n\t") == "a\tb\\r\n\\x1bc"
