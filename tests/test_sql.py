"""SQL of a recipe is over one row's columns: it opens no file and calls no address."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from distill.errors import UserError
from distill.filtering.rules import compile
from distill.problems import read_problems
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.sql import parse_sql

OPENING = [
    "EXISTS (SELECT * FROM {f}('{at}'))",
    "question IN (SELECT question FROM {f}('{at}'))",
    "EXISTS (FROM {f}('{at}'))",
    "EXISTS (FROM \"{f}\"('{at}'))",
    "EXISTS (FROM `{f}`('{at}'))",
    "EXISTS (SELECT 1 FROM {f} /* ( */ ('{at}'))",
    "question = ANY (SELECT a FROM {f}('{at}') AS t(a))",
]
READERS = ["read_csv", "READ_Parquet", "read_json", "read_ndjson", "read_ipc"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", OPENING)
def test_no_sql_of_a_recipe_opens_anything(text: str, reader: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for at in (str(tmp_path / "none.such"), address):
            sql = text.format(f=reader, at=at)
            with pytest.raises(UserError, match=f"{reader}.* opens files"):
                compile({"sly": sql}, "r.yaml")
            parts: tuple[dict[str, Any], ...] = ({"where": sql}, {"map": {"question": sql}})
            for part in parts:
                with pytest.raises(UserError, match=f"{reader}.* opens files"):
                    problems(tmp_path, part)
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()


def problems(folder: Path, part: dict[str, Any]) -> None:
    (folder / "p.jsonl").write_text('{"question": "a", "answer": "1"}')
    recipe = {"problems": {"file": "p.jsonl", **part}, "serve": {}}
    (folder / "r.yaml").write_text(json.dumps(recipe))
    read_problems(load(str(folder / "r.yaml"), PromptsRecipe))


@pytest.mark.parametrize("text", ["EXISTS (SELECT 1)", "x IN (SELECT a FROM (VALUES (1)) t(a))"])
def test_a_query_is_no_expression(text: str) -> None:
    with pytest.raises(UserError, match="query"):
        compile({"sly": text.replace("x", "sample")}, "r.yaml")


def test_a_text_that_polars_panics_at_is_no_expression() -> None:
    with pytest.raises(UserError, match="not an SQL expression"):
        compile({"sly": "sample > GREATEST()"}, "r.yaml")


def test_columns_with_such_names_are_columns() -> None:
    for text in ("read_count > 3", "read_at = 'x' AND scan_id IS NULL", "EXTRACT(DAY FROM x) > 3"):
        assert parse_sql(text).meta.root_names()
