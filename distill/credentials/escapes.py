r"""Decodes escapes of JSON, HTML and URLs: \u0022, &quot;, %3D.

Only ASCII characters, because credentials have no others. Everything else stays as it is.
"""

import string

import polars as pl

# Matches a text that has escapes to decode.
ESCAPED = r"\\u00[2-7]|\\x[2-7]|\\/|&(?:quot|amp|lt|gt|apos|#[0-9x])|%[2-7][0-9A-Fa-f]"
_NAMED = {
    "&quot;": '"',
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "&apos;": "'",
    r"\/": "/",
    r"\"": '"',
}
_FORMS = (r"\u{:04x}", r"\u{:04X}", r"\x{:02x}", r"\x{:02X}", "&#{};", "&#x{:x};", "&#x{:X};")
_LETTERS = {
    form.format(ord(letter)): letter
    for form in (*_FORMS, "%{:02x}", "%{:02X}")
    for letter in string.printable[:95]
} | _NAMED


def unescaped(texts: pl.Series) -> pl.Series:
    r"""The texts with their escapes decoded.

    >>> unescaped(pl.Series([r"{\u0022key\u0022: &quot;a\/b%3D&#45;&quot;}"]))[0]
    '{"key": "a/b=-"}'
    """
    return texts.str.replace_all(r"\\{2,}", "\\").str.replace_many(_LETTERS)
