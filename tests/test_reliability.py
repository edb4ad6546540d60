"""The fault matrix names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_in_the_fault_matrix_exists() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", text)
    there = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert len(named) > 40
    assert set(named) <= there


def test_every_row_of_the_fault_matrix_names_a_test() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| | |" not in line]
    assert all("`test_" in row for row in rows[1:])
