"""Python beside a recipe: it runs only when allowed, and what it makes is known by its bytes."""

import json
import logging
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.write import read_json
from distill.filtering.workers import Engine
from distill.recipes.code import CodeError, read_code
from distill.recipes.filters import FilterRecipe
from distill.recipes.places import Origin
from distill.verify.own import own_checks
from tests.builders.recipes import recipe as prompts
from tests.builders.runs import ledger
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

RAN = "__import__('os').close(__import__('os').open('ran', 0o101))\n"  # leaves a file
SIGNAL = """
import polars as pl
COLUMNS = {"words": pl.UInt32()}
def measure(frame, settings):
    with open("measured", "a") as f: f.write("x" * frame.height)
    return frame.select(words=pl.col("response").str.split(" ").list.len())
"""
CHECK = """
from distill import Verdict
def grade(gold, response):
    with open("checked", "a") as f: f.write("x")
    if "zero" in response:
        1 / 0
    return Verdict("correct" if response.split()[-1] == gold else "wrong", response, "last_word")
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the recipes and what they name lie in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(*texts: str, verify: str = "own.py:grade") -> str:
    lines = [
        {"id": f"q{i}", "sample": 0, "gold": "7", "verify": verify, "reasoning": "", "response": t}
        for i, t in enumerate(texts)
    ]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return "rows.jsonl"


def filters(signal: str = SIGNAL, check: str = CHECK, **values: Any) -> str:
    Path("sig.py").write_text(signal)
    Path("own.py").write_text(check)
    whole = {
        "rules": {"long": "words < 4", "wrong": "verdict = 'correct'"},
        "signals": ["sig.py"],
        "checks": ["own.py"],
    }
    Path("f.yaml").write_text(json.dumps(whole | values))
    return "f.yaml"


def asking(server: TeacherServer | str, check: str = CHECK, **values: Any) -> str:
    """A prompts recipe for problems "What is i + 1?" with the golds i + 1."""
    Path("own.py").write_text(check)
    return prompts(Path(), server, problems=3, verify="own.py", **values)


def fates(out: str) -> dict[str, str]:
    kept, dropped = (pl.read_parquet(f"{out}/{name}/*.parquet") for name in ("kept", "dropped"))
    return dict.fromkeys(kept["id"], "kept") | dict(dropped.select("id", "reason").iter_rows())


def calls() -> tuple[int, int]:
    """How many rows the signal measured, and how many the check graded."""
    found = [path.stat().st_size if path.exists() else 0 for path in map(Path, FILES)]
    return found[0], found[1]


FILES = ("measured", "checked")
FILTER = ["filter", "f.yaml", "rows.jsonl", "-o", "out"]
EVAL = ["eval", "recipe.yaml", "--model", "http://127.0.0.1:9/v1#m", "-o", "out"]
COMMANDS = {
    "filter": FILTER,
    "filter, dry": [*FILTER, "--dry-run"],
    "explain": [*FILTER[:3], "--explain", "q0"],
    "generate": ["generate", "recipe.yaml", "-o", "out"],
    "generate, dry": ["generate", "recipe.yaml", "-o", "out", "--dry-run"],
    "eval": EVAL,
    "eval, dry": [*EVAL, "--dry-run"],
    "named on the command line": [*FILTER, "--set", "signals=[sig.py]"],
}


@pytest.mark.parametrize("keys", [("signals",), ("checks",)])
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_runs_and_nothing_is_written_until_the_user_allows_it(
    name: str, keys: tuple[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows("a 7")
    asking("http://127.0.0.1:9/v1", RAN + CHECK)
    filters(RAN + SIGNAL, RAN + CHECK)
    said = json.loads(Path("f.yaml").read_text())
    one = {"rules": {"there": "response IS NOT NULL"}, keys[0]: said[keys[0]]}
    Path("f.yaml").write_text(json.dumps(one))
    before = sorted(Path().iterdir())
    assert main(COMMANDS[name]) == Exit.USER
    (line,) = capsys.readouterr().err.splitlines()
    assert ("sig.py is Python" in line) or ("own.py is Python" in line)
    assert line.endswith("read it, then allow it by --allow-code")
    assert sorted(Path().iterdir()) == before
    if name in ("filter", "explain"):
        assert main([*COMMANDS[name], "--allow-code"]) == Exit.DONE
        assert Path("ran").exists()


def test_what_is_run_is_what_was_read(here: Path) -> None:
    path = here / "own.py"
    path.write_text("VALUE = 1")
    code = read_code("own.py", "verify", Origin(path=here / "r.yaml"), allowed=True)
    path.write_text("VALUE = 2")
    assert code.module().VALUE == 1
    path.unlink()
    assert pickle.loads(pickle.dumps(code)).module().VALUE == 1


def test_a_file_may_define_dataclasses_and_use_what_is_installed_but_not_what_lies_beside() -> None:
    Path("beside.py").write_text(RAN)
    typed = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    typed += "@dataclass\nclass Found:\n    answer: str\n"
    distill.filter(filters(typed + SIGNAL), rows("a 7"), out="out", allow_code=True)
    with pytest.raises(UserError, match=r"sig\.py:1: ModuleNotFoundError: No module named 'beside"):
        distill.filter(filters("import beside\n"), rows("a 7"), out="out", allow_code=True)
    assert not Path("ran").exists()


ROWS = [f"{'a ' * (i % 5)}{7 if i % 3 else 8}" for i in range(2100)]  # two units


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_other_workers_give_the_same_bytes(engine: Engine) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    name, data = filters(), rows(*ROWS)
    distill.filter(name, data, out="one", allow_code=True)
    distill.filter(name, data, out="two", allow_code=True, workers=2, engine=engine)
    for folder in ("kept", "dropped", "signals"):
        names = [
            sorted(path.name for path in Path(out, folder).iterdir()) for out in ("one", "two")
        ]
        assert names[0] == names[1] != []
        for file in names[0]:
            assert Path("one", folder, file).read_bytes() == Path("two", folder, file).read_bytes()
    assert Path("one/report.json").read_bytes() == Path("two/report.json").read_bytes()
    assert set(fates("one").values()) == {"kept", "long", "wrong"}


def test_a_changed_byte_measures_again_and_nothing_else() -> None:
    data = rows("a 7", "b 7", "c 8")
    filters()
    distill.filter("f.yaml", data, out="out", allow_code=True)
    assert calls() == (3, 3)
    assert distill.filter("f.yaml", data, out="out", allow_code=True) == Exit.DONE
    assert calls() == (3, 3)
    filters(signal=SIGNAL + "# another byte")
    with pytest.raises(UserError, match="another recipe, input, option or version"):
        distill.filter("f.yaml", data, out="out", allow_code=True)
    distill.filter("f.yaml", data, out="out", allow_code=True, force=True)
    assert calls() == (6, 3)
    filters(signal=SIGNAL + "# another byte", check=CHECK.replace("== gold", "!= gold"))
    distill.filter("f.yaml", data, out="out", allow_code=True, force=True)
    assert calls() == (6, 6)
    assert fates("out") == {"q0": "wrong", "q1": "wrong", "q2": "kept"}


def test_a_file_that_only_moved_measures_nothing() -> None:
    data = rows("a 7")
    distill.filter(filters(), data, out="out", allow_code=True)
    Path("inner").mkdir()
    Path("sig.py").rename("inner/sig.py")
    distill.filter(
        "f.yaml", data, out="out", allow_code=True, force=True, overrides=["signals=[inner/sig.py]"]
    )
    assert calls() == (1, 1)


def test_a_recipe_without_code_is_known_by_what_it_always_said() -> None:
    assert not {"signals", "checks"} & set(FilterRecipe(rules={}).model_dump(mode="json"))
    assert {"signals"} <= set(FilterRecipe(rules={}, signals=("a.py",)).model_dump(mode="json"))


@pytest.mark.parametrize(
    "kind", ["evil.py:grade", "own.py:run", "own.py:Verdict", "x/own.py:grade"]
)
def test_a_row_names_no_function_that_the_recipe_does_not(kind: str) -> None:
    Path("evil.py").write_text(RAN + CHECK)
    filters(check=CHECK + f"def run(gold, response):\n    {RAN}")
    distill.filter("f.yaml", rows("a 7", verify=kind), out="out", allow_code=True)
    dropped = pl.read_parquet("out/dropped/*.parquet")
    assert dropped["verdict"].to_list() == ["unverifiable"]
    assert dropped["verdict_method"].to_list() == ["no_such_check"]
    assert dropped["verdict_detail"].to_list() == [kind]
    assert not Path("ran").exists()


def test_an_error_in_a_check_is_that_rows_verdict_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = rows("zero 7", "a 7", "zero zero")
    with caplog.at_level(logging.WARNING, logger="distill"):
        distill.filter(filters(), data, out="out", allow_code=True)
    assert fates("out") == {"q0": "wrong", "q1": "kept", "q2": "wrong"}
    dropped = pl.read_parquet("out/dropped/*.parquet")
    assert set(dropped.select("verdict", "verdict_method").iter_rows()) == {
        ("error", "check_failed")
    }
    (said,) = (r.getMessage() for r in caplog.records if "ZeroDivisionError" in r.getMessage())
    assert "own.py:6: ZeroDivisionError: division by zero; such answers" in said
    distill.filter(
        filters(), data, out="out", allow_code=True, overrides=["measure=[words]"], force=True
    )
    assert calls() == (3, 5)  # our own failure is asked again


def test_an_answer_that_nothing_can_store_is_an_error_of_that_row() -> None:
    half = CHECK.replace("response, ", "chr(0xD800) if '8' in response else response, ")
    distill.filter(filters(check=half), rows("a 7", "a 8"), out="out", allow_code=True)
    assert fates("out") == {"q0": "kept", "q1": "wrong"}
    assert pl.read_parquet("out/dropped/*.parquet")["verdict"].to_list() == ["error"]


WRONG_SIGNALS = {
    "def measure(frame, settings:": r"sig\.py:1: SyntaxError",
    "\n\nraise ValueError('no data')": r"sig\.py:3: ValueError: no data",
    "exit()": r"sig\.py:1: SystemExit",
    "x = 1": r"sig\.py: write def measure",
    "def measure(f, s): ...": r"sig\.py: write COLUMNS",
    SIGNAL.replace('"words"', '"Words"'): "'Words': a column's name is lower-case letters",
    SIGNAL.replace('"words"', '"finished"'): "'finished': is a column of distill; choose another",
    SIGNAL.replace('"words"', '"response"'): "'response': is a column of distill",
    SIGNAL.replace('"words"', '"reason"'): "'reason': is a column of distill",
    SIGNAL.replace("pl.UInt32()", "pl.Object"): "'words': Object is no type",
    SIGNAL.replace("pl.UInt32()", "int"): "'words': <class 'int'> is no type",
    SIGNAL.replace('"words"', '"order"'): "'order': is a word of SQL; choose another name",
    SIGNAL.replace('"words"', '"null"'): "'null': is a word of SQL; choose another name",
    SIGNAL + "COST = 'low'": "COST: 'low': give 0",
    SIGNAL + "COST = pl.Series([1])": "give 0",
    SIGNAL.replace("return", "return 1 #"): r"sig\.py: measure returned int; return a polars",
    SIGNAL.replace("words=", "number="): "returned columns number; COLUMNS says words",
    SIGNAL.replace("words=", "words=0.5 * "): "words as .*; COLUMNS says UInt32",
    SIGNAL.replace("frame.select", "frame.head(1).select"): "returned 1 rows for 2; return one for",
    SIGNAL.replace("return", "pl.sql_expr('GREATEST()') #"): r"sig\.py:6: PanicException",
    SIGNAL.replace("str.split", "str.splat"): r"sig\.py:6: AttributeError: .*splat",
}


@pytest.mark.parametrize("signal", WRONG_SIGNALS)
def test_a_signal_that_is_none_is_one_line_with_its_file(signal: str) -> None:
    with pytest.raises(UserError, match=WRONG_SIGNALS[signal]) as stopped:
        distill.filter(filters(signal), rows("a 7", "b 7"), out="out", allow_code=True)
    assert len(str(stopped.value).splitlines()) == 1
    assert "sig.py" in str(stopped.value)


def test_two_signals_of_one_column_or_name_are_refused() -> None:
    filters(signals=["sig.py", "other.py"])
    Path("other.py").write_text(SIGNAL)
    with pytest.raises(UserError, match=r"other\.py: COLUMNS: 'words': is a column of sig\.py"):
        distill.filter("f.yaml", rows("a 7"), out="out", allow_code=True)
    with pytest.raises(UserError, match=r"signals: 'sig\.py' appears twice"):
        distill.filter(
            "f.yaml", rows(), out="out", allow_code=True, overrides=["signals=[sig.py, ./sig.py]"]
        )


WRONG_CHECKS = {
    "x = 1": r"own\.py: write def grade\(gold: str, response: str\) -> Verdict",
    "grade = 3": "write def grade",
    "def grade(gold): ...": "write def grade",
    "1 / 0": r"own\.py:1: ZeroDivisionError",
    "def grade(gold, response): return True": "grade returned True; return distill.Verdict",
    "from distill import Verdict\ndef grade(g, r): return Verdict('right', r, 'x')": "of corr",
    "from distill import Verdict\ndef grade(g, r): return Verdict('wrong', 1, 'x')": "grade return",
    "from distill import Verdict\ndef grade(g, r): return Verdict('wrong', 0, 'x')": "grade return",
}


@pytest.mark.parametrize("check", WRONG_CHECKS)
def test_a_check_that_is_none_is_one_line_with_its_file(check: str) -> None:
    with pytest.raises(UserError, match=WRONG_CHECKS[check]) as stopped:
        distill.filter(filters(check=check), rows("a 7"), out="out", allow_code=True)
    assert len(str(stopped.value).splitlines()) == 1
    with teacher_server() as server:
        with pytest.raises(UserError, match=WRONG_CHECKS[check]):
            distill.generate(asking(server, check), out="run", allow_code=True)
        assert not server.bodies


def test_an_error_of_the_code_can_travel_between_processes(here: Path) -> None:
    (here / "own.py").write_text("def grade(a, b): raise KeyError(a)")
    (check,) = own_checks({"verify": "own.py"}, Origin(path=here / "r.yaml"), allowed=True)
    with pytest.raises(CodeError) as failed, check.code.blamed():
        check.code.module().grade("x", "y")
    again = pickle.loads(pickle.dumps(failed.value))
    assert (str(again), again.where) == (f"{here}/own.py:1: KeyError: 'x'", f"{here}/own.py:1")


def said(text: str) -> Any:
    return lambda body, n: completion(
        f"{text} {int(body['messages'][-1]['content'].split()[2]) + 1}"
    )


def test_until_asks_by_the_check_and_a_changed_check_buys_no_answer_again() -> None:
    until = {"until": {"correct": 1, "at_most": 4}}
    with teacher_server(said("it is")) as server:
        name = asking(server, CHECK.replace("== gold", "== gold and 'was' in response"), **until)
        kept = ["problems.keep_uncheckable=true"]
        distill.generate(name, out="run", allow_code=True, overrides=kept)
        assert sum(server.asked.values()) == 12
        name = asking(server, CHECK, **until)
        distill.generate(name, out="run", allow_code=True, overrides=kept)
        assert sum(server.asked.values()) == 12
        assert Counter(ledger(Path("run"), "SELECT verdict FROM requests")) == {"correct": 12}
        name = asking(server, CHECK + "# another byte", until={"correct": 5, "at_most": 5})
        distill.generate(name, out="run", allow_code=True, overrides=kept)
        assert sum(server.asked.values()) == 15


def test_a_problem_whose_gold_the_check_calls_wrong_is_left_out() -> None:
    with teacher_server(said("it is")) as server:
        name = asking(server, CHECK.replace("== gold", "== gold != '2'"))
        distill.generate(name, out="run", allow_code=True)
        assert sum(server.asked.values()) == 2
    (line,) = Path("run/left_out.jsonl").read_text().splitlines()
    assert "wrong/last_word" in line
    traces = pl.read_parquet("run/traces/*.parquet")
    assert set(traces["verify"]) == {"own.py:grade"}


def test_scores_of_another_check_are_not_taken_for_these() -> None:
    with teacher_server(said("it is")) as server:
        name = asking(server)
        run = {"model": f"{server.url}#m", "out": "scores", "allow_code": True}
        assert distill.eval(name, **run) == Exit.DONE  # type: ignore[arg-type]
        found = read_json(Path("scores/scores.json"))["benchmarks"]["recipe"]
        assert found["labels"] == {"correct": 3}
        asking(server, CHECK.replace("== gold", "!= gold"))
        with pytest.raises(UserError, match="another recipe, input, option or version"):
            distill.eval(name, **run)  # type: ignore[arg-type]
        distill.eval(name, force=True, **run)  # type: ignore[arg-type]
        found = read_json(Path("scores/scores.json"))["benchmarks"]["recipe"]
        assert found["labels"] == {"wrong": 3}
        assert sum(server.asked.values()) == 3  # nothing was bought again
