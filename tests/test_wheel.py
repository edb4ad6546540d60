"""What a user of the wheel gets: one package, every recipe, and a command that finds them."""

import os
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.builders.imports import MODULES, imported

ROOT = Path(__file__).parents[1]
KINDS = ("prompts", "filters", "students")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "-o",
        str(out),
        str(ROOT),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def run(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, away from the checkout."""
    away = installed.parent / "away"
    away.mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-m", "distill", *words]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=away, env=environment
    )


def test_only_the_package_reaches_site_packages(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"distill"}
    assert len(tops) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_recipe_and_template_is_in_the_wheel(names: list[str], kind: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / kind).rglob("*")
        if path.suffix in (".yaml", ".jinja")
    }
    assert files
    assert {f"distill/data/{name}" for name in files} <= set(names)


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = chain(project["dependencies"], *(extras[name] for name in extras if name != "dev"))
    declared = {canonicalize_name(Requirement(text).name) for text in wanted}
    bringers = packages_distributions()
    undeclared = {
        top
        for module in MODULES.values()
        for top in {name.split(".")[0] for name in imported(module)} - {"distill"}
        if top not in sys.stdlib_module_names
        and declared.isdisjoint(map(canonicalize_name, bringers.get(top, [top])))
    }
    assert undeclared == set()


def test_the_types_travel_with_the_code(names: list[str]) -> None:
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "distill").rglob("*.py")}
    assert code | {"distill/py.typed"} <= set(names)


def test_no_test_cache_or_local_file_travels(names: list[str]) -> None:
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_wheel_says_its_name_and_its_command(wheel: Path, names: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        assert message_from_bytes(archive.read(about))["Name"] == "distill-factory"
        entries = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    assert "distill = distill.cli:main" in entries


def test_the_installed_command_finds_its_shipped_recipes(installed: Path) -> None:
    from distill.recipes.find import shipped

    here = "import sys, distill.recipes.find as f; sys.stdout.write(str(f.shipped('filters')))"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-P", "-c", here],
        check=True,
        capture_output=True,
        text=True,
        cwd=installed,
        env=environment,
    ).stdout
    assert Path(found) == installed / "distill" / "data" / "filters" != shipped("filters")
    data = installed / "rows.jsonl"
    data.write_text('{"question": "1 + 1?", "answer": "2", "response": "2"}\n')
    done = run(installed, "filter", "r1", str(data), "-o", "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would judge 1 rows" in done.stderr
    done = run(installed, "filter", "demos", str(data), "-o", "out", "--dry-run")
    assert done.returncode == 2
    assert "did you mean 'demo'?" in done.stderr


def test_the_installed_command_finds_a_template_beside_its_recipe(installed: Path) -> None:
    problems = installed / "problems.jsonl"
    problems.write_text('{"question": "1 + 1?", "answer": "2"}\n')
    words = ("generate", "gsm8k", "-o", "out", "--dry-run", "--set", f"problems.file={problems}")
    done = run(installed, *words, "--set", "problems.map={}")
    assert done.returncode == 0, done.stderr
    assert "would ask 4 requests" in done.stderr
    assert not (installed.parent / "away" / "out").exists()
