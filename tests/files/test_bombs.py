"""A small file that expands without end is refused, or read in little memory."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

MB = 1 << 20
ROWS = 1_200
LONG = "a" * MB
# Reads DATA as filter does, and prints the most memory that it took in MB.
READ = """
import resource, sys
from distill.errors import UserError
from distill.files.read import frames, is_own, own_columns
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path = Path(sys.argv[1])
try:
    if is_own(path):
        own_columns(path, ("id", "sample"))
    print("rows", sum(frame.height for frame in frames(path)))
except UserError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""


def long_texts(first: int = 0) -> pl.Series:
    """The text is in the file once, however many rows have it."""
    return pl.Series(["short", LONG]).gather([0] * first + [1] * (ROWS - first))


def turns(count: int) -> pl.Series:
    turn = [{"role": "user", "content": "a" * 10_000}] * count
    return pl.Series([turn]).gather([0] * 2_000)


ids = pl.Series(range(ROWS)).cast(pl.String)
BOMBS = {
    "one text": lambda: pl.DataFrame({"id": ids, "question": ids, "response": long_texts()}),
    "at the end": lambda: pl.DataFrame({"id": ids, "question": ids, "response": long_texts(100)}),
    "categories": lambda: pl.DataFrame({"question": ids, "response": long_texts(10)}).cast(
        {"response": pl.Categorical}
    ),
    "ids": lambda: pl.DataFrame({"id": long_texts(), "question": ids, "response": ids}),
    "turns": lambda: pl.DataFrame({"messages": turns(100)}),
    "numbers": lambda: pl.DataFrame({"question": ["q"] * 40, "response": ["4"] * 40}).with_columns(
        n=pl.lit(pl.Series([[0] * 4_000_000]).first())
    ),
    "nothing": lambda: pl.DataFrame({"response": pl.Series([None] * 150_000_000, dtype=pl.String)}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_parquet_file_that_expands_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    BOMBS[name]().write_parquet(path, row_group_size=1 << 30)
    assert path.stat().st_size < 2 * MB
    done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True)
    assert f"{path}: expands to more than 200 times its size (1,024 MB)" in done.stdout, done
    assert int(done.stdout.split()[-1]) < 600
