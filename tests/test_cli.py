"""The command line: words become calls, errors one line, results an exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distill.cli import main
from distill.errors import Exit
from tests.builders.recipes import recipe
from tests.builders.teacher_server import completion, refusal, teacher_server

COMMANDS = ("plan", "generate", "filter", "train", "eval", "push", "status")


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "distill", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: distill {command}")


def test_help_and_a_wrong_flag_import_nothing_heavy() -> None:
    code = (
        "import sys; from distill.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('polars', 'openai', 'pydantic', 'torch', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["generate", "gsm8", "-o", "x"], "did you mean 'gsm8k'"),
        (["filter", "r2", "x.jsonl", "-o", "x"], "r2: no such recipe in filters/"),
        (["filter", "r1", "absent.jsonl", "-o", "x"], "absent.jsonl: no such file"),
        (["filter", "r1", "absent.jsonl", "-o", "x", "--set", "rules.a"], "key.path=value"),
        (["generate", "gsm8k", "-o", "x", "--set", "sampling.temprature=1"], "'temperature'"),
        (["generate", "gsm8k", "-o", "x", "--set", "teacher.api_key=abc"], "looks like an API key"),
        (["push", "absent", "me/set"], "absent"),
        (["status", "absent"], "absent: no run"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == Exit.USER
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flag", ["--limit=0", "--limit=many", "--budget-usd=-1", "--budget-usd=nan", "--budget-usd=inf"]
)
def test_a_number_that_makes_no_sense_is_refused_by_its_flag(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["generate", "gsm8k", "-o", "x", flag])
    assert left.value.code == Exit.USER
    assert flag.split("=")[0] in capsys.readouterr().err


def test_the_exit_status_tells_done_failed_rows_and_the_budget_apart(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, teacher={"price": {"input": 1, "output": 1000}})
        words = ["generate", name, "-o", str(tmp_path / "run")]
        assert run(*words, "--budget-usd", "0.15").returncode == Exit.BUDGET
        assert run(*words, "--budget-usd", "5").returncode == Exit.DONE
        server.answer = lambda body, n: refusal(400)
        assert run("generate", name, "-o", str(tmp_path / "other")).returncode == Exit.ROWS_FAILED
        server.answer = lambda body, n: refusal(402)
        done = run("generate", name, "-o", str(tmp_path / "third"))
        assert done.returncode == Exit.USER
        assert "402" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_without_a_terminal_there_are_plain_lines_only(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion()) as server:
        done = run("generate", recipe(tmp_path, server), "-o", str(tmp_path / "run"))
    assert done.returncode == 0
    assert "\x1b" not in done.stderr
    assert "generate: 5 of 5" in done.stderr
    assert done.stdout == ""


def test_status_tells_the_funnel_of_a_whole_loop(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server)
        assert run("generate", name, "-o", str(tmp_path / "run")).returncode == 0
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"rules": {"wrong": "verdict = 'correct'"}}))
    done = run("filter", str(rules), str(tmp_path / "run"), "-o", str(tmp_path / "set"))
    assert done.returncode == 0, done.stderr
    said = run("status", str(tmp_path / "run"), str(tmp_path / "set")).stdout
    lines = {" ".join(line.strip("│ ").split()) for line in said.splitlines()}
    assert any(line.startswith("asked") and "5 (5 problems" in line for line in lines)
    assert any(line.startswith("dropped: wrong") and "4 (80.0%)" in line for line in lines)
    assert any(line.startswith("kept") and "1 (20.0%)" in line for line in lines)
