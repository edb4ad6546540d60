"""Finds credentials in texts, in columns of texts and in bytes, and names only their kind.

Two steps: a few coarse patterns over everything, in polars' engine, then exact ones over the few
texts that these match.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from distill.credentials import doubt
from distill.credentials.escapes import ESCAPED, unescaped
from distill.credentials.kinds import KINDS, PHRASES, WORDS, Kind

MOST = 100  # different credentials told apart in one text
_REAL: dict[str, Callable[[str], bool]] = {
    "none": lambda _: True,
    "placeholder": lambda secret: not doubt.is_placeholder(secret),
    "token": doubt.is_token,
    "random": doubt.is_random,
    "password": doubt.is_password,
    "basic": doubt.is_basic,
    "pem": doubt.is_pem,
}
# A letter at the end of an escape does not count as touching: \nsk-…, %3Dsk-…, \u003dsk-….
_LEFT = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
_RIGHT = r"(?![A-Za-z0-9])"
_BEFORE, _AFTER = r"[\t\n\r -~]{0,6}", r"[ -~]{0,1}"  # as much as the two above can see
# The engine is fast with a few dozen shapes at once, but not with all of them. So texts are reduced
# to their long words first: every key of WORDS is in one, and few other words are long.
LONG = 20
LONG_PIECE = 10_000  # characters: no credential is that long
_UNSHOWN = re.compile(r"[^\x20-\x7e\xa0-\ufffd]+")
_LONG = rf"(?-u:[A-Za-z0-9_+/.%:=~$@?&;-]{{{LONG},}})"


@dataclass(frozen=True, slots=True)
class _Group:
    """Kinds that are searched together: patterns for polars, then those for Python.

    Python's patterns only run over pieces that their own group has matched, so all stay linear.
    """

    kinds: tuple[Kind, ...]
    quick: str  # matches a suspect text
    near: str  # a match with the characters around it
    exact: tuple[re.Pattern[str], ...]


def _joined(patterns: Iterable[str]) -> str:
    return "|".join(patterns).replace("(?P<v>", "(?:")


def _group(kinds: tuple[Kind, ...]) -> _Group:
    # In ASCII: Unicode's classes take ten times as long.
    shapes = _joined(kind.pattern for kind in kinds)
    return _Group(
        kinds=kinds,
        quick=f"(?-u:{_joined(kind.quick or kind.pattern for kind in kinds)})",
        near=f"(?-u:{_BEFORE}(?:{shapes}){_AFTER})",
        exact=tuple(
            re.compile(k.pattern if k.free else f"{_LEFT}(?:{k.pattern}){_RIGHT}", re.ASCII)
            for k in kinds
        ),
    )


_LOOKS = (
    *(("words", _group(kinds)) for kinds in WORDS),
    *(("text", _group((kind,))) for kind in PHRASES),
)
# Anything like a key, placeholders included, to remove it from what is shown.
SECRET = re.compile(_joined(kind.pattern for kind in KINDS), re.ASCII)


def keys_in(text: str) -> list[str]:
    """The kind of each different credential in a text; empty if there is none.

    >>> keys_in("the key is hf_7Qm2vXc9Lr4Tz8Wb1Yk6Np3D"), keys_in("hf_xxxxxxxxxxxxxxxxxxxxxxxx")
    (['a Hugging Face token'], [])
    """
    return keys_by_row(pl.Series([text])).get(0, [])


def without_keys(text: str, most: int = 200) -> str:
    """One line of at most ``most`` characters, with all that looks like a credential removed.

    >>> without_keys("no such key: hf_7Qm2vXc9Lr4Tz8Wb1Yk6Np3D")
    'no such…'
    """
    plain = SECRET.sub("…", unescaped(pl.Series([text[: 20 * most]]))[0])
    return _UNSHOWN.sub(" ", plain).strip()[:most]


def keys_by_row(texts: pl.Series) -> dict[int, list[str]]:
    """Number of a text → the kind of each different credential in it, up to MOST.

    Texts without any are absent. Credentials written with escapes count too.
    """
    finds = _finds_by_row(texts)
    escaped = texts.str.contains(ESCAPED).fill_null(value=False).arg_true()
    if len(escaped):
        for i, found in _finds_by_row(unescaped(texts.gather(escaped))).items():
            finds.setdefault(int(escaped[i]), []).extend(found)
    return {row: kinds for row, found in sorted(finds.items()) if (kinds := _different(found))}


def _finds_by_row(texts: pl.Series) -> dict[int, list[tuple[str, str]]]:
    words = pl.col("text").str.extract_all(_LONG).list.join("\n")
    frame = texts.to_frame("text").with_row_index("row").with_columns(words=words)
    # One query for all groups, because a query costs more than searching a short text.
    suspect = frame.select(
        pl.col(column).str.contains(group.quick).alias(group.quick) for column, group in _LOOKS
    )
    finds: dict[int, list[tuple[str, str]]] = {}
    for _, group in _LOOKS:
        if not suspect[group.quick].any():
            continue
        near = frame.filter(suspect[group.quick]).select(
            "row", pl.col("text").str.extract_all(group.near)
        )
        for row, pieces in near.iter_rows():
            finds.setdefault(row, []).extend(_finds(group, pieces))
    return finds


def _finds(group: _Group, pieces: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(secret, kind) of everything in the pieces of text that a group has matched."""
    for piece in pieces:
        for kind, pattern in _likely(group, piece):
            for match in pattern.finditer(piece):
                secret = match["v"] if pattern.groupindex else match[0]
                if _REAL[kind.doubt](secret):
                    yield secret, kind.name


def _likely(group: _Group, piece: str) -> Iterator[tuple[Kind, re.Pattern[str]]]:
    """The kinds that a piece may hold; for a long one polars finds out thirty times as fast."""
    kinds = list(zip(group.kinds, group.exact, strict=True))
    if len(piece) < LONG_PIECE or len(kinds) == 1:
        yield from kinds
        return
    text = pl.Series([piece])
    for kind, pattern in kinds:
        if text.str.contains(f"(?-u:{kind.quick or kind.pattern})")[0]:
            yield kind, pattern


def _different(finds: Iterable[tuple[str, str]]) -> list[str]:
    """The kinds, without finds that contain an earlier one or are part of one."""
    kept: dict[str, str] = {}
    finds = list(finds)
    secrets = unescaped(pl.Series([secret for secret, _ in finds], dtype=pl.String))
    for secret, (_, kind) in zip(secrets, finds, strict=True):
        if not any(secret in other or other in secret for other in kept):
            kept[secret] = kind
            if len(kept) == MOST:
                break
    return list(kept.values())
