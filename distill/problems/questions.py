"""Leaves out what cannot be asked or judged: empty questions, repeats, contradicting references."""

import polars as pl

from distill.errors import UserError
from distill.problems.left_out import Tally
from distill.rows import row_id

# What Python treats as white space; the regex engine's \s lacks the four separators.
SPACE = r"[\s\x1c-\x1f]+"


def usable(asked: pl.DataFrame, source: str, tally: Tally, *, checked: bool) -> pl.DataFrame:
    """Id, question, gold and key of the problems that can be asked, in order, each question once.

    The key is the question in Unicode form C with single spaces: two questions with the same key
    are the same. With ``checked``, a question needs a reference, and one that its repeats share.

    Raises:
        UserError: an id appears twice.
    """
    keyed = asked.with_columns(key=normal(pl.col("question")))
    rows = tally.only(keyed, pl.col("key") != "", "no_question")
    rows = rows.with_columns(_ids(rows, source))
    if checked:
        rows = tally.only(rows, pl.col("gold").str.strip_chars() != "", "no_gold")
        agreed = pl.col("gold").n_unique().over("key") == 1
        rows = tally.only(rows, agreed, "golds_contradict")
    return tally.only(rows, pl.col("key").is_first_distinct(), "repeated_question")


def normal(question: pl.Expr) -> pl.Expr:
    """Unicode form C, every run of white space one space, none at the ends."""
    return question.str.normalize("NFC").str.replace_all(SPACE, " ").str.strip_chars(" ")


def refuse_repeated_ids(ids: pl.Series, where: str) -> None:
    """Raises if two problems have the same id.

    Raises:
        UserError: names the first such id.
    """
    if ids.len() != ids.n_unique():
        twice = ids.filter(ids.is_duplicated())[0]
        msg = f"{where}: problems: id {twice!r} appears twice; ids must be unique"
        raise UserError(msg)


def _ids(rows: pl.DataFrame, source: str) -> pl.Series:
    pairs = zip(rows["id"], rows["question"], strict=True)
    ids = [own or row_id(source, question) for own, question in pairs]
    return pl.Series("id", ids, dtype=pl.String)
