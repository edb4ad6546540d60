"""A problem set comes from the Hub through the real client, as the shipped recipe names it."""

import io
from pathlib import Path

import polars as pl
import pytest

from tests.builders.hub_server import hub_server, run_client
from tests.builders.hub_state import Blob

TOKEN = "canary.of.the.hub.token.0123456789"
CARD = """---
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train.parquet}
  - {split: test, path: main/test.parquet}
---
"""
READ = """
from distill.problems import read_problems
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
for problem in read_problems(load("gsm8k", PromptsRecipe)):
    print(problem.source, problem.question, problem.gold, sep="|")
"""
DIGEST = """
from distill.problems import problem_set
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
print(problem_set(load("gsm8k", PromptsRecipe)).digest)
"""
DRY_RUN = """
from distill.cli import main
raise SystemExit(main(["generate", "gsm8k", "-o", "x", "--dry-run"]))
"""


def parquet(questions: int, word: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(
        {
            "question": [f"{word} {i}?" for i in range(questions)],
            "answer": [f"Because.\n#### {i}" for i in range(questions)],
        }
    ).write_parquet(file)
    return file.getvalue()


def test_the_gsm8k_recipe_reads_its_split_from_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    files = {
        "README.md": CARD.encode(),
        "main/train.parquet": parquet(3, "Train"),
        "main/test.parquet": parquet(5, "Test"),
    }
    with hub_server(TOKEN) as hub:
        hub.add_repo("dataset", "openai/gsm8k", private=False, **files)
        done = run_client(READ, hub, tmp_path / "home", token=None)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"openai/gsm8k:train|Train {i}?|{i}" for i in range(3)]
        said = run_client(DRY_RUN, hub, tmp_path / "home", token=None).stderr
        assert f"reads openai/gsm8k from {hub.url} (no token)\n" in said
        assert "sends prompts of gsm8k to https://api.deepseek.com (key: $DEEPSEEK_API_KEY" in said
        said = run_client(DRY_RUN, hub, tmp_path / "home", token=TOKEN).stderr
        assert f"reads openai/gsm8k from {hub.url} (token: $HF_TOKEN)\n" in said
        assert TOKEN not in said


def test_a_set_of_the_hub_is_known_by_its_revision_on_every_machine(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    files = {
        "README.md": CARD.encode(),
        "main/train.parquet": parquet(3, "Train"),
        "main/test.parquet": parquet(1, "Test"),
    }

    def digest(home: str) -> str:
        done = run_client(DIGEST, hub, tmp_path / home, token=None)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with hub_server(TOKEN) as hub:
        repo = hub.add_repo("dataset", "openai/gsm8k", private=False, **files)
        known = digest("one")
        assert digest("another") == known
        other = {"main/train.parquet": Blob(parquet(3, "Other"), lfs=True)}
        repo.commit(repo.commits[-1][1] | other)
        assert digest("another") != known


def test_a_folder_of_the_same_name_is_never_read_in_place_of_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    files = {"README.md": CARD.encode(), "main/train.parquet": parquet(3, "Hub")}
    files["main/test.parquet"] = parquet(1, "Hub")
    local = tmp_path / "openai" / "gsm8k" / "main"
    local.mkdir(parents=True)
    (local / "train.jsonl").write_text('{"question": "Local?", "answer": "#### 1"}\n')
    with hub_server(TOKEN) as hub:
        hub.add_repo("dataset", "openai/gsm8k", private=False, **files)
        there = f"import os; os.chdir({str(tmp_path)!r})\n"
        done = run_client(there + READ, hub, tmp_path / "home", token=None)
    assert done.returncode == 0, done.stderr
    assert [line.split("|")[1] for line in done.stdout.splitlines()] == [
        f"Hub {i}?" for i in range(3)
    ]


def test_a_hub_that_does_not_have_it_is_one_line_that_names_the_way_out(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with hub_server(TOKEN) as hub:
        done = run_client(DRY_RUN, hub, tmp_path / "home", token=None)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert "openai/gsm8k cannot be read from the Hub" in line
    assert "--set problems.file=FILE.jsonl" in line


def test_a_password_in_the_hubs_address_is_never_shown(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    address = "http://ada:canary-of-a-password@127.0.0.1:9"  # nobody is there
    done = run_client(DRY_RUN, address, tmp_path / "home", token=None)
    assert done.returncode == 2
    assert "canary-of-a-password" not in done.stdout + done.stderr
