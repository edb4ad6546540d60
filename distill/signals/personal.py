"""Personal data and keys in a trace, as counts: no text of them is copied anywhere.

Finds patterns, not people: a made-up number looks like a real one. Cards (Luhn) and IBANs
(remainder 97) are checked, and reserved example domains do not count. Each different key counts
once.
"""

import re
from collections.abc import Callable

import polars as pl

from distill.credentials.find import keys_by_row
from distill.rows import all_turns
from distill.signals.patterns import plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "emails": pl.UInt32(),
    "phones": pl.UInt32(),
    "cards": pl.UInt32(),
    "ibans": pl.UInt32(),
    "secret_keys": pl.UInt32(),
}
VERSION = 3
COST = 1

# Domains kept for examples by RFC 2606 are nobody's.
_EMAIL = plain(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b")
_NOBODY = plain(
    r"(?i)@(?:[a-z0-9-]+\.)*"
    r"(?:example\.(?:com|org|net|edu)|[a-z0-9-]+\.(?:test|example|invalid))\b"
)
# With a country code or an area code in brackets: bare digits are numbers in a calculation.
_PHONE = plain(
    r"(?:^|[\s(:\[])\+\d{1,3}[ -]?\(?\d{1,4}\)?(?:[ -]?\d{2,8}){1,4}\b"
    r"|\(\d{3}\) ?\d{3}[.-]\d{4}\b"
)
# First digits and lengths of Visa, Mastercard, American Express and Discover (ISO/IEC 7812).
_CARD = plain(
    r"\b(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6011|65\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b"
    r"|\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b"
)
_IBAN = plain(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SIGNS = re.compile(r"[ -]")


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """How many of each are in thought and response together."""
    text = pl.concat_str(pl.col("reasoning", "response").fill_null(""), separator="\n")
    whole = frame.select(text=text)
    return whole.select(
        emails=_matching(_EMAIL).list.eval(~pl.element().str.contains(_NOBODY)).list.sum(),
        phones=_valid(whole, _PHONE, is_phone),
        cards=_valid(whole, _CARD, is_card),
        ibans=_valid(whole, _IBAN, is_iban),
        secret_keys=_keys(frame),
    ).cast(pl.Schema(COLUMNS))


def _keys(frame: pl.DataFrame) -> pl.Series:
    """Of all that is published of a row: what was asked and the reference too."""
    rest = ("gold", "reasoning", "response", "id", "domain", "source", "verify", "teacher")
    parts = (all_turns(), *rest, "finish_reason")
    texts = frame.select(pl.concat_str(parts, separator="\n", ignore_nulls=True))["messages"]
    found = keys_by_row(texts)
    return pl.Series([len(found.get(row, ())) for row in range(texts.len())], dtype=pl.UInt32)


def _matching(pattern: str) -> pl.Expr:
    return pl.col("text").str.extract_all(pattern)


def _valid(whole: pl.DataFrame, pattern: str, holds: Callable[[str], bool]) -> pl.Series:
    found = whole.select(found=_matching(pattern))["found"]
    return pl.Series([sum(map(holds, texts)) for texts in found.to_list()], dtype=pl.Int64)


def is_phone(text: str) -> bool:
    """Whether there are as many digits as in a number with its codes: 8 to 15 (ITU-T E.164).

    >>> is_phone("+49 30 901820"), is_phone("+12 345")
    (True, False)
    """
    return 8 <= sum(map(str.isdigit, text)) <= 15


def is_card(text: str) -> bool:
    """Whether the digits pass Luhn's check (ISO/IEC 7812-1, annex B).

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(sign) for sign in reversed(_SIGNS.sub("", text))]
    doubled = [d * 2 - 9 * (d > 4) for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether the number leaves 1 when divided by 97 (ISO 13616, ISO 7064).

    >>> is_iban("DE89 3704 0044 0532 0130 00"), is_iban("DE88 3704 0044 0532 0130 00")
    (True, False)
    """
    plain = _SIGNS.sub("", text)
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1
