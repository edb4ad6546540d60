"""Who may import whom: one table, from the top of the house down."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from tests.builders.imports import MODULES, imported

# A module imports its own package and the lines below it; "distill" is the package's own file.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("distill",),
    ("commands",),
    ("evaluating", "filtering", "publishing", "showing", "training"),
    ("generating",),
    ("problems", "signals"),
    ("local_models", "verify"),
    ("ledger", "teachers"),
    ("files", "jail", "near"),
    ("recipes",),
    ("credentials", "imports", "intervals", "rows", "sql", "think"),
    ("errors", "sql_size"),
    ("terminal",),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
# Installed by an extra, or slow to import: only inside the function that needs it.
HEAVY = {
    "accelerate",
    "bitsandbytes",
    "datasets",
    "gguf",
    "huggingface_hub",
    "math_verify",
    "matplotlib",
    "peft",
    "ray",
    "reasoning_gym",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "xllamacpp",
}
# What a mistyped flag need not wait for.
SLOW = HEAVY | {
    "aiohttp",
    "jinja2",
    "numpy",
    "openai",
    "orjson",
    "polars",
    "pydantic",
    "rich",
    "yaml",
}


def group(name: str) -> str:
    """``distill.files.read`` belongs to ``files``, ``distill`` to itself."""
    return name.split(".")[1] if "." in name else name


def imported_ours(name: str) -> set[str]:
    return {other for other in imported(MODULES[name]) if other.split(".")[0] == "distill"}


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported; not those for a type checker."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from at_import(node.orelse)
            continue
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(node, part, [])
            for each in inner:
                yield from at_import(each.body if isinstance(each, ast.ExceptHandler) else [each])


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_its_place_and_imports_only_downwards(name: str) -> None:
    assert group(name) in DEPTH, f"{name} is not in the table of layers"
    upwards = {
        other
        for other in imported_ours(name)
        if group(other) != group(name) and DEPTH[group(other)] <= DEPTH[group(name)]
    }
    assert not upwards


def test_the_table_names_nothing_that_is_gone() -> None:
    assert {group(name) for name in MODULES} == set(DEPTH)


def test_no_two_modules_import_each_other() -> None:
    graph = {name: imported_ours(name) - {name} for name in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_commands_never_import_each_other() -> None:
    for name in MODULES:
        if group(name) == "commands":
            assert not {other for other in imported_ours(name) if group(other) == "commands"}


def test_only_the_entry_imports_the_command_line() -> None:
    users = {name for name in MODULES if "distill.cli" in imported_ours(name)}
    assert users <= {"distill.__main__"}


@pytest.mark.parametrize("name", MODULES)
def test_a_heavy_package_is_imported_only_inside_a_function(name: str) -> None:
    body = ast.Module(body=[], type_ignores=[])
    for node in at_import(MODULES[name].body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            body.body.append(node)
    assert not {other.split(".")[0] for other in imported(body)} & HEAVY


def loaded(code: str) -> set[str]:
    """The top-level packages that are loaded once ``code`` has run in a fresh interpreter."""
    show = "; import sys; sys.stdout.write(' '.join({m.split('.')[0] for m in sys.modules}))"
    command = [sys.executable, "-c", code + show]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_the_command_line_is_there_before_anything_slow_is_loaded() -> None:
    assert not loaded("import distill, distill.cli; distill.cli._parser().format_help()") & SLOW


def test_every_module_can_be_imported_without_an_extra() -> None:
    names = ", ".join(name for name in MODULES if name != "distill.__main__")
    found = loaded(f"import {names}")
    assert "polars" in found
    assert not found & HEAVY
