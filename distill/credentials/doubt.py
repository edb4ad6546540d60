"""Recognises what only looks like a credential: placeholders, examples, plain words.

A text about programming is full of ``sk-xxxx``, ``YOUR_API_KEY`` and ``user:password@localhost``.
If in doubt it counts as a key, because sending one is worse than stopping once too often.
"""

import base64
import binascii
import re
from itertools import pairwise
from urllib.parse import unquote

# Written instead of a key. Words of four letters only if they cannot be chance: a given word of
# five letters appears in 100 random letters and digits once in ten million times.
_INSTEAD = re.compile(
    r"example|placeholder|redacted|changeme|change[_-]me|dummy|insert|replace|sample|truncated"
    r"|your[_-]|[_-]your|your(?:api|token|key|secret|access|own)|(?:api|secret|access)[_-]?key"
    r"|(?:key|token|goes)[_-]?here|my[_-](?:key|token|secret|api)|x{4}|\*{3}|\.{3}|0{8}"
    r"|550e8400-e29b-41d4",  # the UUID of the textbooks
    re.IGNORECASE,
)
_NEXT = re.compile(r"&[A-Za-z_][\w.-]*=.*")  # parameter of an address
_LEET = str.maketrans("0134@$", "oleaas")
_FILLER = set("xX*0.-_#")
_RUN = re.compile(r"[A-Za-z0-9]+")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_VARIABLE = re.compile(r"[$%]?[\[{(]?[$%]?[\[{(].*|\$\w+|%[sdr(].*|[A-Z]+(?:_[A-Z]+)*")
_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|(?:https?:|ftp:|\.{0,2}/).*")
# What people write instead of a password.
_WORDS = re.compile(
    r"pass(?:word|wd|phrase)?|pwd|secret|user(?:name)?|admin|root|test(?:ing)?|guest|demo|token"
    r"|foo(?:bar)?(?:ed)?|bar|baz|postgres(?:ql)?|mysql|mongo(?:db)?|redis|rabbit(?:mq)?|database"
    r"|your|my|letmein|qwerty|abc|xyz|api|key|some|the|and|with|host|port|name|anonymous|\d+",
    re.IGNORECASE,
)
# The share of neighbouring characters that follow one another ("abc", "123"), and that differ in
# kind (capital, small, digit). Random base62 has 0.05 and 0.62, random hexadecimal digits 0.18 and
# 0.47; names and sentences change kind at less than 0.2 of their letters.
MOST_IN_ORDER, LEAST_CHANGES = 0.4, 0.22
LONG_RUN = 30  # letters: longer than any word
LEAST_KINDS = 8  # different characters: 16 random hexadecimal digits have 10


def is_placeholder(secret: str) -> bool:
    """Whether it is written instead of a key, or is words with hyphens.

    >>> is_placeholder("sk-your-key-goes-here-please"), is_placeholder("hf_" + "x" * 34)
    (True, True)
    >>> is_placeholder("sk-7Qm2vXc9Lr4Tz8Wb1Yk6Np3D")
    False
    """
    body = re.split(r"[-_.]", secret, maxsplit=1)[-1]
    if _says_so(secret) or set(body) <= _FILLER:
        return True
    if any(map(str.isdigit, body)) or (body != body.lower() and body != body.upper()):
        return False
    return max(map(len, _RUN.findall(secret)), default=0) < LONG_RUN


def is_token(secret: str) -> bool:
    """Whether it may be the token of a header: neither a placeholder nor a word.

    >>> is_token("qX7-long-session"), is_token("AuthenticationScheme")
    (True, False)
    """
    long = any(len(run) >= LONG_RUN for run in _RUN.findall(secret))
    return not _says_so(secret) and (long or any(map(str.isdigit, secret)))


def is_random(secret: str) -> bool:
    """Whether it looks random, so that it is a key if the name before it says so.

    >>> is_random("9fQ2mXz7Lr4Tb8Wk"), is_random("abc123def456ghi789"), is_random("my_value_23")
    (True, False, False)
    """
    text = _NEXT.sub("", secret).strip(".,;:!?*").rstrip("=")
    if _says_so(text) or _CODE.fullmatch(text) or "=" in text:
        return False
    if "password" in text.lower().translate(_LEET):
        return False
    plain = _SEPARATORS.sub("", text)
    digits = sum(map(str.isdigit, plain))
    if len(plain) < 10 or len(plain) - digits < 3 or len(set(plain)) < LEAST_KINDS:
        return False
    if _in_order(plain, 1) > MOST_IN_ORDER or _in_order(plain, 2) > MOST_IN_ORDER:
        return False
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in plain]
    changes = sum(a != b for a, b in pairwise(kinds)) / (len(plain) - 1)
    if not digits:  # names have capitals too, but rarely two in a row before a small letter
        capitals = sum(a == b == "u" for a, b in pairwise(kinds)) / (len(plain) - 1)
        return len(plain) >= 20 and changes >= 0.3 and capitals >= 0.12
    return changes >= (LEAST_CHANGES if digits > 1 else 2 * LEAST_CHANGES)


def is_password(secret: str) -> bool:
    """Whether it may be a real password: neither a variable nor an example.

    >>> is_password("hT7-quiet-otter"), is_password("password"), is_password("${DB_PASS}")
    (True, False, False)
    """
    text = unquote(secret)
    if _says_so(text) or _VARIABLE.fullmatch(text):
        return False
    return len(_SEPARATORS.sub("", _WORDS.sub("", text))) >= 4


def is_basic(secret: str) -> bool:
    """Whether it is base64 of user:password, as the Authorization header has it."""
    text = _decoded(secret)
    user, colon, word = text.partition(":")
    return bool(user and colon and text.isprintable()) and is_password(word)


def is_pem(secret: str) -> bool:
    """Whether it is base64 of a private key's first line, without the first 13 characters."""
    return "PRIVATE KEY" in _decoded(f"LS0tLS1CRUdJT{secret}")


def _says_so(text: str) -> bool:
    return _INSTEAD.search(text) is not None or set(text) <= _FILLER


def _in_order(text: str, step: int) -> float:
    """Share of characters equal to, or next to, the one ``step`` before."""
    pairs = list(zip(text, text[step:], strict=False))
    return sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairs) / max(len(pairs), 1)


def _decoded(text: str) -> str:
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""
