"""What a judge said about answers, and where its votes decide.

Rules come first: a judge decides only where they say ``unverifiable``.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import polars as pl

from distill.verify.math.extract import boxes
from distill.verify.math.latex import plain

Said = Literal["correct", "wrong"]
METHOD = "judge"
# Why a judge did not decide: never asked about this answer; asked about another one of the same id
# and sample; stated no verdict; as many votes for as against.
UNDECIDED = ("no_judgement", "judged_other_answer", "judge_silent", "judge_tie")
VERDICT = ("verdict", "verdict_answer", "verdict_method", "verdict_detail")
ATTACHED = ("judge_correct", "judge_wrong", "judge_same")  # votes: UInt32; same: Boolean
_SCHEMA = {
    "id": pl.String(),
    "sample": pl.UInt32(),
    "answer": pl.UInt64(),
    "judge_correct": pl.UInt32(),
    "judge_wrong": pl.UInt32(),
}
_WORDS: dict[str, Said] = {
    **dict.fromkeys(("correct", "right", "yes", "true"), "correct"),
    **dict.fromkeys(("incorrect", "not correct", "wrong", "no", "false"), "wrong"),
}
_NAMES = r"(?:final[ _])?(?:verdict|correctness|judge?ment)"
_JSON = re.compile(
    rf'"(?:{_NAMES}"\s{{0,8}}:\s{{0,8}}"?([A-Za-z_ ]{{1,20}})["\s,}}.]'
    # other names only count with these values
    r'|(?:is_?)?(?:correct|equivalent|same|right)"\s{0,8}:\s{0,8}"?(true|false|yes|no)\b)',
    re.IGNORECASE,
)
_LINE = re.compile(
    rf"(?:^|(?<=[.!?:])[ \t])(?!\s?>)\W{{0,8}}(?:(?:so|thus|my|the)\W{{1,2}}){{0,2}}{_NAMES}"
    r"(?!\")(?: (?:is|was)\b)?\W{1,8}(.{1,60})$",
    re.IGNORECASE | re.MULTILINE,
)
# What may be before a box with yes, no, true or false: else it may be the judged answer.
_LEADS = re.compile(
    r"(?:\W|\b(?:so|thus|hence|therefore|my|the|final|verdict|judge?ment|correctness|is|no|yes)\b)*+",
    re.IGNORECASE,
)
_PLAIN_WORDS = ("correct", "incorrect", "not correct", "wrong")
_TAKEN_BACK = re.compile(
    r"\b(?:correct|incorrect|right|wrong|yes|no|not|true|false|wait|actually|however|but)\b",
    re.IGNORECASE,
)
BATCH = 10_000  # judgements that are Python objects at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one answer of a judge says about one judged answer."""

    id: str  # of the judged answer
    sample: int
    answer: int  # its ``answer_key``
    said: Said | None  # None: it states no verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """The votes on each judged answer, one line each, with the columns of ``_SCHEMA``."""

    table: pl.DataFrame

    def onto(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` (id, sample, gold, response, …), in order, with the columns ATTACHED.

        All three are null for a row that was not judged; ``judge_same`` is false where the judge
        saw another response or another gold under that id and sample.
        """
        found = rows.select("id", pl.col("sample").cast(pl.UInt32)).join(
            self.table, on=["id", "sample"], how="left", maintain_order="left"
        )
        texts = rows.select("gold", "response").iter_rows()
        same = [
            None if key is None else key == answer_key(*text)
            for key, text in zip(found["answer"], texts, strict=True)
        ]
        votes = found.select("judge_correct", "judge_wrong").get_columns()
        return rows.with_columns(*votes, pl.Series("judge_same", same, dtype=pl.Boolean))


def answer_key(gold: str | None, response: str | None) -> int:
    """Identifies what was judged: 64 bits over reference and response."""
    text = f"{gold or ''}\0{response or ''}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def collected(judgements: Iterable[Judgement]) -> Judged:
    """The votes on each answer, counted; in the order of the first vote."""
    stream = iter(judgements)
    parts = [pl.DataFrame(schema=_SCHEMA)]
    while part := list(islice(stream, BATCH)):
        parts.append(pl.DataFrame(list(_votes(part)), schema=_SCHEMA, orient="row"))
    grouped = pl.concat(parts).group_by("id", "sample", "answer", maintain_order=True)
    votes = grouped.agg(pl.col("judge_correct", "judge_wrong").sum())
    # two answers under one id and sample cannot both be the row's: the later one counts
    return Judged(votes.unique(["id", "sample"], keep="last", maintain_order=True))


def _votes(judgements: Iterable[Judgement]) -> Iterator[tuple[str, int, int, int, int]]:
    for one in judgements:
        yield one.id, one.sample, one.answer, one.said == "correct", one.said == "wrong"


def said(response: str) -> Said | None:
    r"""The verdict that a judge's response states; None if it states none, or is unclear.

    The last of these counts: "correctness", "verdict" or "judgement" in JSON, or a line that begins
    with one of these names. Without any of them it is a box at the end, or the whole response. Two
    in JSON that differ are unclear, and so is a verdict after which the response goes on about it.

    >>> said('{"analysis": "8 is not 9.", "correctness": "incorrect"}'), said(r"\boxed{Yes}")
    ('wrong', 'correct')
    >>> said(r"It ends with \boxed{True}. Verdict: incorrect"), said(r"It gave \boxed{True}.")
    ('wrong', None)
    >>> said("It is correct up to a point.")
    """
    named = [one for one in (_in_json(response), _in_line(response)) if one]
    if not named:
        return _in_box(response) or (_word(response) if len(response) <= 60 else None)
    end, vote = max(named)
    whole = response.strip("` \n").removeprefix("json").lstrip().startswith("{")
    after = "" if whole and response.rstrip("` \n").endswith("}") else response[end:]
    return None if _TAKEN_BACK.search(after) else vote or None


def _in_json(response: str) -> tuple[int, Said | Literal[""]] | None:
    """Where JSON names a verdict for the last time, and the verdict; ``""`` if several differ."""
    found = list(_JSON.finditer(response))
    if not found:
        return None
    votes = {_word(one[1] or one[2]) for one in found}
    return found[-1].end(), (votes.pop() or "") if len(votes) == 1 else ""


def _in_line(response: str) -> tuple[int, Said | Literal[""]] | None:
    """The end of the last line that names a verdict, and the verdict; ``""`` if it is none."""
    lines = list(_LINE.finditer(response))
    if not lines:
        return None
    found = lines[-1]
    inside = boxes(found[0])
    return found.end(), _word(plain(inside[-1][2]) if inside else found[1]) or ""


def _in_box(response: str) -> Said | None:
    """The verdict in a box that nothing follows."""
    inside = boxes(response)
    if not inside or re.search(r"\w", response[inside[-1][1] :]):
        return None
    start, _, content = inside[-1]
    word = plain(content[:200])
    before = response[:start].rpartition("\n")[2].rpartition("}")[2]
    if before.rstrip()[-1:] in ("`", "'", '"', "“", "‘", ">"):  # a quotation
        return None
    sure = word.strip(" .").lower() in _PLAIN_WORDS or _LEADS.fullmatch(before)
    return _word(word) if sure else None


def _word(text: str) -> Said | None:
    return _WORDS.get(" ".join(text.replace("_", " ").strip(" \n\r\t.*!`\"'").lower().split()))


def cascade(verdicts: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """``verdicts`` with the judge's where the rules have none, and ``verdict_judge``.

    Args:
        verdicts: the columns VERDICT, one line a row: what the rules say.
        rows: the same rows with the columns ATTACHED, by ``Judged.onto``.

    Returns:
        VERDICT and ``verdict_judge`` (``correct``, ``wrong``, null: no majority). An
        ``unverifiable`` row is ``correct`` or ``wrong`` by majority, with method ``judge`` and as
        detail the votes for and against, "2:1", and the rules' own reason; else its method is one
        of UNDECIDED. Other rows are unchanged.
    """
    table = verdicts.select(VERDICT).hstack(rows.select(ATTACHED))
    open_ = pl.col("verdict") == "unverifiable"
    votes = pl.when("judge_same").then(pl.format("{}:{}, ", "judge_correct", "judge_wrong"))
    detail = votes.otherwise(pl.lit("")) + pl.lit("rules: ") + pl.col("verdict_method")
    taken = pl.coalesce("verdict_judge", "verdict")
    return table.with_columns(verdict_judge=_majority()).select(
        pl.when(open_).then(taken).otherwise("verdict").alias("verdict"),
        "verdict_answer",
        pl.when(open_).then(_method()).otherwise("verdict_method").alias("verdict_method"),
        pl.when(open_).then(detail).otherwise("verdict_detail").alias("verdict_detail"),
        "verdict_judge",
    )


def apply_judge_votes(table: pl.DataFrame) -> pl.DataFrame:
    """A measured table after ``cascade``; unchanged if it has no verdicts or no votes."""
    if not {*VERDICT, *ATTACHED} <= set(table.columns):
        return table
    return table.with_columns(cascade(table, table).get_columns())


def _majority() -> pl.Expr:
    """``correct`` or ``wrong``; null without a majority on exactly this answer."""
    right, wrong, same = (pl.col(name) for name in ATTACHED)
    for_it = pl.when(same & (right > wrong)).then(pl.lit("correct"))
    return for_it.when(same & (wrong > right)).then(pl.lit("wrong"))


def _method() -> pl.Expr:
    """METHOD if a majority decides, else why none does."""
    right, wrong, same = (pl.col(name) for name in ATTACHED)
    unseen, other, silent, tie = map(pl.lit, UNDECIDED)
    first = pl.when(same.is_null()).then(unseen).when(~same).then(other)
    return (
        first.when(right != wrong).then(pl.lit(METHOD)).when(right == 0).then(silent).otherwise(tie)
    )
