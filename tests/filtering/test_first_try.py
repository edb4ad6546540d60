"""A first try on other people's files: rows, or one line with a command that brings them."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.write import read_json
from tests.builders.rows import filters, jsonl, row

ASKED = [f"Tom has 3 apples and buys {n}. How many has he?" for n in range(2, 8)]
THOUGHTS = [f"He has 3, and {n} more. So 3 + {n} is {n + 3}." for n in range(2, 8)]
ANSWERS = [f"He has 3 + {n} = {n + 3} apples.\n\n\\boxed{{{n + 3}}}" for n in range(2, 8)]
GOLDS = [str(n + 3) for n in range(2, 8)]
Line = dict[str, Any]


def inline(thought: str, answer: str) -> str:
    return f"<think>\n{thought}\n</think>\n\n{answer}"


def openai(q: str, t: str, r: str, g: str) -> Line:
    turns = [{"role": "user", "content": q}, {"role": "assistant", "content": inline(t, r)}]
    return {"messages": turns}


def sharegpt(q: str, t: str, r: str, g: str) -> Line:
    return {
        "conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": inline(t, r)}]
    }


def openthoughts(q: str, t: str, r: str, g: str) -> Line:
    said = (
        f"<|begin_of_thought|>\n\n{t}\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\n{r}\n\n<|end_of_solution|>"
    )
    turns = [{"from": "user", "value": q}, {"from": "assistant", "value": said}]
    return {"system": "Think.", "conversations": turns}


def am(q: str, t: str, r: str, g: str) -> Line:
    info = dict.fromkeys(("source", "reference_answer", "test_case", "think_content"))
    said = f"<think>{t}</think><answer>{r}</answer>"
    return {
        "messages": [
            {"role": "user", "content": q, "info": info | {"reference_answer": g}},
            {"role": "assistant", "content": said, "info": info | {"think_content": t}},
        ]
    }


def dolphin(q: str, t: str, r: str, g: str) -> Line:
    return {"messages": [{"role": "user", "content": q}], "reasoning": t, "answer": r}


def alpaca(q: str, t: str, r: str, g: str) -> Line:
    return {"instruction": q, "input": "", "output": r}


def gsm8k(q: str, t: str, r: str, g: str) -> Line:
    return {"question": q, "reasoning": t, "response": r, "answer": g}


ENDS, GOLD, THOUGHT = "how its answer ended", "a reference answer", "has a thought"
# (shape, what no row says, rows that the command then keeps with r1)
SHAPES = [
    (openai, [ENDS, GOLD]),
    (sharegpt, [ENDS, GOLD]),
    (openthoughts, [ENDS, GOLD]),
    (am, [ENDS]),
    (dolphin, [ENDS, GOLD]),
    (alpaca, [ENDS, GOLD, THOUGHT]),
    (gsm8k, [ENDS]),
]
RECIPES = ("r1", "open-r1", "openthoughts", "demo", "general", "label-all")


def advised(lines: list[str]) -> tuple[str, list[str]]:
    """The line that says what is lacking, and the words of its command."""
    (said,) = [line for line in lines if "to judge by the rest: " in line]
    why, _, command = said.partition("; to judge by the rest: distill ")
    return why, shlex.split(command)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("shape", "lacks"), SHAPES)
def test_the_first_try_says_what_is_lacking_and_the_command_brings_the_rows(
    shape: Any, lacks: list[str], recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [shape(*each) for each in zip(ASKED, THOUGHTS, ANSWERS, GOLDS, strict=True)]
    data, out = jsonl(tmp_path / "their data.jsonl", *lines), tmp_path / "out"
    assert distill.filter(recipe, data, out=out, overrides=["select.shuffle=true"]) == Exit.DONE
    assert read_json(out / "report.json")["kept"] == 0
    why, command = advised(caplog.messages)
    wanted = [ENDS] if recipe in ("general", "label-all") else lacks
    assert [lack for lack in (ENDS, GOLD, THOUGHT) if lack in why] == wanted
    assert "select.shuffle=true" in command
    caplog.clear()
    assert main(command) == Exit.DONE  # in the same folder, without --force
    assert read_json(out / "report.json")["kept"] == len(lines)
    assert not [line for line in caplog.messages if "no row" in line]


def test_what_was_cut_off_is_found_by_its_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [gsm8k(*each) for each in zip(ASKED, THOUGHTS, ANSWERS, GOLDS, strict=True)]
    for line in lines[:2]:
        line["response"] = line["response"][:7]
    data = jsonl(tmp_path / "data.jsonl", *lines)
    distill.filter("r1", data, out=tmp_path / "out", workers=2)
    _, command = advised(caplog.messages)
    assert command[-4:-2] == ["--workers", "2"]
    main(command)
    assert read_json(tmp_path / "out/report.json")["reasons"] == {"truncated": 2}


def test_a_result_that_kept_rows_is_replaced_by_force_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row(i, gold=None, verify=None, domain="stem") for i in range(3)]
    rows += [row(i, gold=None, verify=None) for i in range(3, 6)]
    data, out = jsonl(tmp_path / "data.jsonl", *rows), tmp_path / "out"
    distill.filter("openthoughts", data, out=out)
    assert read_json(out / "report.json")["kept"] == 3
    assert advised(caplog.messages)[1][-1] == "--force"
    with pytest.raises(UserError, match="--force"):
        distill.filter("label-all", data, out=out)


def test_nothing_kept_ends_with_the_reason_and_where_to_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    data = jsonl(tmp_path / "data.jsonl", *(row(i, response="\\boxed{0.5}") for i in range(3)))
    distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    said = caplog.messages[-1]
    assert re.match(r"3 of 3 rows were dropped as wrong", said)
    assert main(shlex.split(said.partition("some of them: distill ")[2])) == Exit.DONE
    assert "0.5" in capsys.readouterr().out


def test_a_judge_needs_no_golds_and_a_rule_of_ones_own_is_wrapped_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = jsonl(tmp_path / "data.jsonl", *(row(i, finish_reason=None) for i in range(3)))
    rules = {"ended": "finish_reason IN ('stop', 'end') OR finish_reason = 'done'"}
    distill.filter(filters(tmp_path, rules=rules), data, out=tmp_path / "out")
    why, command = advised(caplog.messages)
    assert why == "no row says how its answer ended (finish_reason), so none passes ended"
    assert command[-1] == f"rules.ended=COALESCE({rules['ended']}, looks_whole)"
    main(command)
    assert read_json(tmp_path / "out/report.json")["kept"] == 3


def test_the_domain_of_a_row_is_that_of_its_check(tmp_path: Path) -> None:
    values: list[Line] = [
        {"verify": "math"},
        {"verify": "code"},
        {"verify": "choice"},
        {"verify": None},
    ]
    values += [{"verify": "math", "domain": "stem"}]
    lines = [{k: v for k, v in row(i).items() if k != "domain"} for i in range(5)]
    rows = [line | value for line, value in zip(lines, values, strict=True)]
    wanted = ["math", "code", "general", "general", "stem"]
    foreign = [{"problem": r["messages"][0]["content"], "solution_text": 1} | r for r in rows]
    for name, given in (("own", rows), ("foreign", foreign)):
        for line in foreign:
            line.pop("messages", None)
        data = jsonl(tmp_path / f"{name}.jsonl", *given)
        rules = {"any": "LENGTH(response) > 0"}
        distill.filter(filters(tmp_path, rules=rules), data, out=tmp_path / name)
        kept = pl.read_parquet(tmp_path / name / "kept/*.parquet").sort("id")
        assert kept["domain"].to_list() == wanted


def test_a_quota_that_no_row_is_of_names_what_there_is(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1), row(2, domain="stem", source="b"))
    quotas: list[tuple[dict[str, Any], str]] = [
        ({"code": 5}, "select.quota.code: no row has this domain; DATA has math, stem"),
        (
            {"math": {"sources": {"tost": 5}}},
            "no row has the source 'tost'; did you mean 'test'",
        ),
    ]
    for quota, says in quotas:
        recipe = filters(tmp_path, select={"quota": quota})
        with pytest.raises(UserError, match=re.escape(says)):
            distill.filter(recipe, data, out=tmp_path / "out")
        assert not (tmp_path / "out/report.json").exists()
    recipe = filters(tmp_path, select={"quota": {"code": 0, "math": 1}})
    distill.filter(recipe, data, out=tmp_path / "out")
    assert json.loads((tmp_path / "out/report.json").read_text())["kept"] == 2
