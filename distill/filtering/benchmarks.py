"""Marks rows that ask, or spell out, what a benchmark asks.

``distill.near.contamination`` says how texts are compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError, nearest
from distill.files.columns import ALPACA, QUESTION
from distill.files.done import data_digest, fingerprint
from distill.files.find import data_files, matching
from distill.files.named import BENCHMARK, data_at
from distill.files.read import records
from distill.files.talk import TALK, user_text
from distill.filtering import hashes
from distill.filtering.rules import Rule
from distill.near.contamination import Benchmarks
from distill.problems.read import problem_set
from distill.recipes.code import check_parts
from distill.recipes.filters import Decontaminate
from distill.recipes.find import names, own_file, shipped, shipped_file
from distill.recipes.load import load
from distill.recipes.places import Origin, missing
from distill.recipes.prompts import PromptsRecipe
from distill.signals import COSTLY
from distill.signals.settings import Settings

CONTAMINATED = Rule("contaminated", "contaminated_by IS NULL", ("contaminated_by",))
TABLE = {"benchmark": pl.String, "row": pl.String, "question": pl.String}


@dataclass(frozen=True, slots=True)
class Contamination:
    """Compares rows with benchmarks; measured like a signal."""

    digest: str  # of the benchmarks and of how they are compared
    benchmarks: Benchmarks

    COLUMNS = {
        "contaminated_by": pl.String(),  # the benchmark, null if none matched
        "contaminated_row": pl.String(),  # its row
        "contaminated_kind": pl.String(),  # ngram, exact, fuzzy
        "contaminated_share": pl.Float64(),  # of the question's words that were met, 0 … 1
        "contaminated_text": pl.String(),  # what both say
        "_compared": pl.Boolean(),  # false where the row's question is not known
    }
    VERSION = 2
    COST = COSTLY

    @property
    def __name__(self) -> str:
        """Names the benchmarks too: hits of others do not count."""
        return f"contamination-{self.digest}"

    def measure(self, frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """The strongest hit of each row: of the largest share of a question."""
        more = pl.concat_str("reasoning", "response", separator="\n")
        asked = hashes.question(frame)
        hits = self.benchmarks.hits(asked, frame.select(more).to_series())
        order = ["row", "share", "benchmark", "benchmark_row", "kind"]
        falls = [name == "share" for name in order]
        first = hits.sort(order, descending=falls).unique("row", keep="first", maintain_order=True)
        rows = pl.DataFrame({"row": pl.int_range(frame.height, eager=True)})
        return rows.join(first, on="row", how="left", maintain_order="left").select(
            contaminated_by="benchmark",
            contaminated_row="benchmark_row",
            contaminated_kind="kind",
            contaminated_share="share",
            contaminated_text="text",
            _compared=asked != frame["id"],  # which stands for a question that is not there
        )


def contamination(recipe: Decontaminate, origin: Origin) -> Contamination:
    """The benchmarks that the recipe names, read.

    Raises:
        UserError: a benchmark is not there, not the recipe's to read, or no column of it holds
            questions.
    """
    said, tables = [], []
    for i, given in enumerate(recipe.against):
        key = f"decontaminate.against.{i}"
        for name, found in _named(given, key, origin):
            digest, table = _benchmark(found, f"{origin.path}: {key}: {given!r}")
            said.append([name, digest])
            tables.append(table)
    words, fuzzy, share = recipe.words, recipe.fuzzy, recipe.share
    made = Benchmarks.build(pl.concat(tables), words=words, fuzzy=fuzzy, least=share)
    digest = fingerprint(benchmarks=said, words=words, fuzzy=fuzzy, share=share)
    return Contamination(digest, made)


def _named(given: str, key: str, origin: Origin) -> list[tuple[str, str | Path]]:
    """Names and places of the files or recipes meant: beside the recipe, or shipped."""
    found = data_at(given, key, origin, BENCHMARK) or _recipe(given, key, origin)
    if found is None:
        what = f"no such file, and no such prompts recipe; {nearest(given, names('prompts'))}"
        raise missing(given, key, origin, what)
    if isinstance(found, Path) and (met := matching(found)):
        return [(path.name, path.resolve()) for path in met]
    return [(given, found)]


def _recipe(given: str, key: str, origin: Origin) -> Path | None:
    """A prompts recipe: the user's own in ./prompts if the user named it, else shipped ones."""
    if origin.gave(key) and (here := own_file(given, "prompts")) is not None:
        return here
    root = shipped("prompts")
    inside = given.removeprefix(f"{root.name}/")
    shown = matching(root / inside) if ".." not in Path(inside).parts else []
    return root / inside if shown else shipped_file(inside, "prompts")


def _benchmark(found: str | Path, at: str) -> tuple[str, pl.DataFrame]:
    """Digest and questions of a file, folder, hf:// address or prompts recipe."""
    if Path(found).suffix == ".yaml":
        digest, rows = _of_recipe(Path(found), at)
    else:
        rows = pl.DataFrame(list(_questions(found, at)), schema=TABLE, orient="row")
        digest = fingerprint(data=data_digest(found), names=[p.name for p in data_files(found)])
    if not (rows["question"] != "").any():
        msg = f"{at}: no question in it"
        raise UserError(msg)
    return digest, rows


def _of_recipe(path: Path, at: str) -> tuple[str, pl.DataFrame]:
    try:
        loaded = load(str(path), PromptsRecipe)
        if check_parts(loaded.recipe.verify or ""):  # its questions are wanted, not its check
            loaded = load(str(path), PromptsRecipe, ["problems.keep_uncheckable=true"])
        problems = problem_set(loaded)
        asked = pl.concat(problems.tables())
    except UserError as error:
        msg = f"{at}: not a prompts recipe that can be read: {error}"
        raise UserError(msg) from None
    return problems.digest, asked.select(
        pl.lit(path.stem).alias("benchmark"), row="id", question="question"
    )


def _questions(data: str | Path, at: str) -> Iterator[tuple[str, str, str]]:
    for path in data_files(data):
        number = 0
        for part in records(path):
            lines = part.to_dicts() if isinstance(part, pl.DataFrame) else part
            names = list(dict.fromkeys(name for line in lines for name in line))
            wanted = (*QUESTION, *TALK, "text")
            column = next((n for part in wanted for n in names if n.lower() == part), None)
            if lines and column is None:
                there = ", ".join(names)
                msg = f"{at}: {path}: no column of questions: found {there}; wanted "
                raise UserError(msg + ", ".join(wanted))
            for line in lines:
                number += 1
                yield path.name, str(line.get("id") or number), _asked(line, column or "")


def _asked(line: Mapping[str, Any], column: str) -> str:
    """The text of a question, or all user turns; an instruction with its input."""
    value = line.get(column)
    if said := user_text(value):
        return said
    if not isinstance(value, str):
        return ""
    about = line.get(ALPACA[1]) if column == ALPACA[0] else None
    return f"{value}\n{about}" if isinstance(about, str) and about else value
