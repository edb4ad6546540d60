"""The size and shape of the code, kept by numbers rather than by memory."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "distill").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
# Where any error at all is caught: the end of the program, two tasks that nobody else awaits, the
# user's own code, and whatever somebody else's program raises in the jail.
BORDERS = {
    "distill/cli.py": 1,
    "distill/generating/dispatch.py": 1,
    "distill/ledger/commits.py": 1,
    "distill/jail/inside/execute.py": 1,
    "distill/recipes/code.py": 1,
    "distill/verify/batch.py": 1,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def functions(name: str) -> list[tuple[str, int]]:
    """Each function with its number of lines, signature and docstring counted."""
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree(name))
        if isinstance(node, Function)
    ]


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


@pytest.mark.parametrize("name", NAMES)
def test_no_function_is_longer_than_a_screen(name: str) -> None:
    assert [(n, length) for n, length in functions(name) if length > 60] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_longer_than_one_idea(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 320


@pytest.mark.parametrize("name", NAMES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(tree(name))


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_caught_by_name_except_at_the_borders(name: str) -> None:
    handlers = [node for node in ast.walk(tree(name)) if isinstance(node, ast.ExceptHandler)]
    assert sum(map(catches_everything, handlers)) <= BORDERS.get(name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_prints_past_the_log(name: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in called


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: p.stem)
def test_no_test_module_is_imported(path: Path) -> None:
    """What several of them need is built in tests/builders."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    froms = [node.module or "" for node in found if isinstance(node, ast.ImportFrom)]
    assert [name for name in froms if ".test_" in name] == []


def test_half_of_all_functions_are_about_ten_lines() -> None:
    assert median(length for name in NAMES for _, length in functions(name)) <= 12
