"""The examples of the page about extending distill run as they stand there."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.cli import main
from distill.files.write import read_json
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
BASE = ROOT / "tests/stored/base"
ADDRESS, STUDENT = "http://127.0.0.1:8000/v1", "smollm2-135m-instruct"
FILES = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', PAGE, flags=re.M | re.S))
COMMANDS = re.findall(r"^\$ distill (.*)$", PAGE, flags=re.M)
# By a word of the question: right within 1 %, right and shouted, and wrong.
ANSWERS = {
    "2 s": ("So far it goes.", "600000 km"),
    "stone": ("SHOUTED LOUDLY.", "29.5"),
    "boil": ("It is hot.", "90 degrees"),
    "Sun": ("It is far.", "500 s"),
    "kJ": ("It is much.", "4 kJ"),
}


def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
    question = body["messages"][-1]["content"]
    thought, text = next(said for word, said in ANSWERS.items() if word in question)
    return completion(text, message={"reasoning_content": thought})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TeacherServer]:
    """The page's files in the working folder; its server is on another port, its base is tiny."""
    shutil.copytree(BASE, tmp_path / "base")
    with teacher_server(answer) as running:
        for name, text in FILES.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace(ADDRESS, running.url).replace(STUDENT, "base"))
        monkeypatch.chdir(tmp_path)
        yield running


def run(verb: str, server: TeacherServer) -> int:
    (line,) = (line for line in COMMANDS if line.startswith(verb))
    return main(line.replace(ADDRESS, server.url).split())


def fates() -> dict[str, str]:
    """What became of each answer, by its text."""
    kept = pl.read_parquet("sets/physics/kept/*.parquet").with_columns(reason=pl.lit("kept"))
    rows = [kept, pl.read_parquet("sets/physics/dropped/*.parquet")]
    return dict(pl.concat([part.select("response", "reason") for part in rows]).iter_rows())


def test_the_check_the_preset_and_the_signal_of_the_page_make_a_filtered_set(
    server: TeacherServer,
) -> None:
    assert run("generate", server) == 0
    asked = {next(w for w in ANSWERS if w in text): n for text, n in server.asked.items()}
    assert asked == {"2 s": 1, "stone": 1, "boil": 3}  # the check said when to stop
    assert run("filter", server) == 0
    assert fates() == {"600000 km": "kept", "29.5": "shouted", "90 degrees": "wrong"}
    kept = pl.read_parquet("sets/physics/kept/*.parquet")
    assert kept["verify"].to_list() == ["nearly.py:grade"]


def test_the_student_recipe_of_the_page_proves_its_tokens(server: TeacherServer) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("peft")
    assert run("generate", server) == 0
    assert run("filter", server) == 0
    assert run("train", server) == 0


def test_the_benchmark_of_the_page_is_scored_and_kept_out_of_sets(server: TeacherServer) -> None:
    assert run("eval", server) == 0
    scores = read_json(Path("scores/exam/scores.json"))["benchmarks"]["exam"]
    assert scores["labels"] == {"correct": 1, "wrong": 1}
    asked = json.loads(FILES["exam.jsonl"].splitlines()[0])["question"]
    row = {"id": "a", "sample": 0, "question": asked, "reasoning": "x", "response": "y"}
    Path("set.jsonl").write_text(json.dumps(row))
    Path("clean.yaml").write_text(
        'rules: {there: "response IS NOT NULL"}\ndecontaminate: {against: [exam.yaml], words: 5}\n'
    )
    assert main(["filter", "clean.yaml", "set.jsonl", "-o", "clean"]) == 0
    assert read_json(Path("clean/report.json"))["reasons"] == {"contaminated": 1}


def test_every_command_of_the_page_is_run() -> None:
    assert [line.split()[0] for line in COMMANDS] == ["generate", "filter", "train", "eval"]
    assert all("--allow-code" in line or line.startswith("train") for line in COMMANDS)
