"""The documentation agrees with the program, with the tree and with itself."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import distill
from tests.commands_page import PAGE, page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "bench/README.md"]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"]
ABSENT = {"distill/filter/"}  # named by the decision against it; and NAME is for the reader's own

named = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)


def prose(text: Path) -> str:
    """What is neither a block of code nor a comment."""
    return re.sub(
        r"^```.*?^```|<!--.*?-->", "", text.read_text(encoding="utf-8"), flags=re.M | re.S
    )


def anchors(text: Path) -> set[str]:
    """What a link may name behind ``#``: each heading, as Python-Markdown and GitHub write it."""
    headings = re.findall(r"^#+ (.*)$", prose(text), flags=re.M)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower())) for title in headings}


def pages(entry: Any) -> list[str]:
    """The files below one entry of the site's navigation."""
    if isinstance(entry, str):
        return [entry]
    return [
        name
        for part in (entry.values() if isinstance(entry, dict) else entry)
        for name in pages(part)
    ]


def test_the_page_of_commands_is_what_the_program_prints() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.commands_page writes it"


def test_the_page_of_functions_has_every_public_name() -> None:
    shown = re.findall(r"^::: distill\.(\w+)$", (DOCS / "api.md").read_text(), flags=re.M)
    assert sorted(shown) == sorted([*distill.__all__, "errors"])


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages(navigation)) == sorted(path.name for path in DOCS.glob("*.md"))


@named
def test_every_link_leads_to_a_file_and_a_heading(text: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        target, _, anchor = link.partition("#")
        if target.startswith(f"{REPOSITORY}/blob/main/"):  # from the site to what is not in it
            path = ROOT / target.removeprefix(f"{REPOSITORY}/blob/main/")
        elif "://" in target:
            continue
        else:
            path = text.parent / target if target else text
            assert text.parent != DOCS or path.parent == DOCS, f"{link}: not in the site"
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@named
def test_every_path_of_the_repository_that_is_named_is_there(text: Path) -> None:
    if text.name == "CHANGELOG.md":  # what was there then
        return
    tops = ("distill", "tests", "bench", "docs", "prompts", "filters", "students")
    paths = re.findall(rf"`((?:{'|'.join(tops)})/[\w./-]*)`", prose(text))
    real = [path for path in paths if path not in ABSENT and "NAME" not in path]
    assert [path for path in real if not (ROOT / path).exists()] == []
    modules = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", prose(text))  # as `teachers/pool.py`
    code = [path.as_posix() for top in tops for path in (ROOT / top).rglob("*.py")]
    assert [name for name in modules if not any(at.endswith(f"/{name}") for at in code)] == []


def test_the_repository_has_one_address() -> None:
    files = [*TEXTS, *(ROOT / ".github").rglob("*.*"), ROOT / "pyproject.toml"]
    owners = set()
    for path in files:
        owners |= set(re.findall(r"https://github\.com/[\w-]+/distill\b", path.read_text()))
    assert owners == {REPOSITORY}
