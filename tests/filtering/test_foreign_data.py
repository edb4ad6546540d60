"""Other people's files through the whole command: what is read, what is said, what is kept."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.write import read_json
from tests.builders.foreign_shapes import ANSWER, GOLDEN, PLAIN, THOUGHT
from tests.builders.rows import filters, jsonl, row

LENIENT = {
    "truncated": "COALESCE(finished, TRUE)",
    "malformed": "thought_closed AND response_chars > 0",
    "no_thought": "reasoning_chars > 0",
}


def kept(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "kept/*.parquet").sort("id", "sample")


def test_every_shape_is_kept_with_its_thought_and_answer(tmp_path: Path) -> None:
    shapes = {**PLAIN, **GOLDEN}
    data = {name: jsonl(tmp_path / f"{name}.jsonl", line) for name, line in shapes.items()}
    recipe = filters(tmp_path, rules=LENIENT | {"wrong": "gold IS NULL OR verdict = 'correct'"})
    assert distill.filter(recipe, data, out=tmp_path / "out") == Exit.DONE
    rows = kept(tmp_path / "out")
    assert set(rows["source"]) == set(shapes)
    assert set(rows["reasoning"]) == {THOUGHT}
    assert set(rows["response"]) == {ANSWER}
    assert read_json(tmp_path / "out/report.json")["dropped"] == 0


def test_rows_that_only_say_that_thinking_was_off_have_no_thought(tmp_path: Path) -> None:
    said = ["on", "off"] * 3
    lines = [
        {
            "input": f"{i} + 1?",
            "output": "<think>one</think>2" if on == "on" else "2",
            "reasoning": on,
        }
        for i, on in enumerate(said)
    ]
    data = jsonl(tmp_path / "data.jsonl", *lines)
    distill.filter(filters(tmp_path, rules=LENIENT), data, out=tmp_path / "out")
    assert kept(tmp_path / "out")["reasoning"].to_list() == ["one"] * 3
    assert read_json(tmp_path / "out/report.json")["reasons"] == {"no_thought": 3}


FOREIGN = [
    {"task": f"{i} + 1?", "work": f"Add 1 to {i}.", "said": i + 1, "right": i + 1} for i in range(4)
]
MAP = {
    "question": "task",
    "reasoning": "work",
    "response": "CONCAT('\\boxed{', CAST(said AS VARCHAR), '}')",
    "gold": '"right"',
    "domain": "'math'",
    "finish_reason": "'stop'",
}


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_a_map_makes_parts_of_any_columns(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{form}"
    table = pl.DataFrame(FOREIGN)
    write = table.write_ndjson if form == "jsonl" else getattr(table, f"write_{form}")
    write(path)
    distill.filter(filters(tmp_path, map=MAP), path, out=tmp_path / "out")
    rows = kept(tmp_path / "out")
    assert rows.height == 4
    assert set(rows["domain"]) == {"math"}
    assert set(rows["reasoning"]) == {line["work"] for line in FOREIGN}


def test_a_map_can_be_given_on_the_command_line(tmp_path: Path) -> None:
    line = {"problem": "1 + 1?", "chain": "one and one", "final": "\\boxed{2}", "answer": "2"}
    data = jsonl(tmp_path / "data.jsonl", line | {"finish_reason": "stop"})
    words = ["filter", str(filters(tmp_path)), str(data), "-o", str(tmp_path / "out")]
    assert main(words) == Exit.USER  # no column holds the answers
    assert main([*words, "--set", "map.response=final", "--set", "map.reasoning=chain"]) == 0
    (found,) = kept(tmp_path / "out").to_dicts()
    assert (found["reasoning"], found["response"], found["gold"]) == (
        "one and one",
        "\\boxed{2}",
        "2",
    )


@pytest.mark.parametrize("value", ["'stop'", "\"'stop'\"", " 'stop' "])
def test_a_text_of_its_own_is_given_as_a_shell_leaves_it(value: str, tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "response": "\\boxed{2}", "answer": "2"}
    data = jsonl(tmp_path / "data.jsonl", line)
    words = ["filter", str(filters(tmp_path)), str(data), "-o", str(tmp_path / "out")]
    assert main([*words, "--set", f"map.finish_reason={value}"]) == 0
    assert kept(tmp_path / "out")["finish_reason"].to_list() == ["stop"]


def test_a_word_that_is_no_column_says_how_a_text_is_written(tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "response": "\\boxed{2}", "answer": "2"}
    recipe = filters(tmp_path, map={"finish_reason": "stop"})
    with pytest.raises(UserError, match=r"""as a text of its own: "'stop'"$"""):
        distill.filter(recipe, jsonl(tmp_path / "data.jsonl", line), out=tmp_path / "out")


def test_what_a_map_makes_the_response_of_is_never_the_reference_too(tmp_path: Path) -> None:
    line = {"question": "1 + 1?", "answer": "\\boxed{2}", "finish_reason": "stop"}
    recipe = filters(tmp_path, rules={"all": "response_chars > 0"}, map={"response": "answer"})
    distill.filter(recipe, jsonl(tmp_path / "data.jsonl", line), out=tmp_path / "out")
    (found,) = kept(tmp_path / "out").to_dicts()
    assert (found["response"], found["gold"], found["verify"]) == ("\\boxed{2}", None, None)


def test_a_map_chooses_where_two_columns_could_be_meant(tmp_path: Path) -> None:
    line = {
        "question": "1 + 1?",
        "gemini_attempt": "3",
        "deepseek_attempt": "\\boxed{2}",
        "answer": "2",
    }
    line |= {"gemini_thinking_trajectory": "x y", "deepseek_thinking_trajectory": "one and one"}
    chosen = {"reasoning": "deepseek_thinking_trajectory", "response": "deepseek_attempt"}
    recipe = filters(tmp_path, map=chosen | {"finish_reason": "'stop'"})
    distill.filter(recipe, jsonl(tmp_path / "data.jsonl", line), out=tmp_path / "out")
    assert kept(tmp_path / "out")["response"].to_list() == ["\\boxed{2}"]


def test_a_map_of_our_own_rows_changes_only_what_it_names(tmp_path: Path) -> None:
    data = tmp_path / "data.parquet"
    pl.DataFrame([row(1), row(2)]).write_parquet(data)
    distill.filter(filters(tmp_path), data, out=tmp_path / "plain")
    distill.filter(filters(tmp_path, map={"teacher": "'me'"}), data, out=tmp_path / "mapped")
    first, second = kept(tmp_path / "plain"), kept(tmp_path / "mapped")
    assert second["teacher"].to_list() == ["me", "me"]
    assert second.drop("teacher").equals(first.drop("teacher"))


WRONG_MAPS = [
    (
        {"response": "lost"},
        "map.response: lost: names a column that is not there; found task, work",
    ),
    ({"response": "MAX(work)"}, "map.response: MAX(work): looks at other rows"),
    ({"response": "(SELECT 1)"}, "holds a query"),
    (
        {"response": "read_csv('/etc/passwd')"},
        "map.response: read_csv('/etc/passwd'): not a polars SQL",
    ),
    ({"response": "COLUMNS('.*')"}, "map.response: COLUMNS('.*'): makes several columns; name one"),
    ({"response": "work +"}, "map.response: work +: not a polars SQL expression"),
    ({"response": "work", "domain": "lst"}, "map.domain: lst: makes List(Int64), not a text"),
    ({"answer": "work"}, "map.answers: 'answers' input should be 'id', 'question'"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_MAPS)
def test_a_wrong_map_is_one_line(wrong: dict[str, str], said: str, tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", *({**line, "lst": [1]} for line in FOREIGN))
    with pytest.raises(UserError) as caught:
        distill.filter(filters(tmp_path, map=wrong), data, out=tmp_path / "out")
    assert said.replace("answers", "answer") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_quota_tells_named_inputs_apart(tmp_path: Path) -> None:
    ours = tmp_path / "ours.parquet"
    pl.DataFrame([row(i) for i in range(1, 6)]).write_parquet(ours)
    theirs = jsonl(
        tmp_path / "theirs.jsonl",
        *(
            {"question": f"{i}?", "output": f"\\boxed{{{i}}}", "answer": i, "domain": "math"}
            for i in range(5)
        ),
    )
    quota = {"math": {"sources": {"mine": 2, "x": 3}}}
    rules = {"wrong": "verdict = 'correct'", "cut": "COALESCE(finished, source = 'x')"}
    recipe = filters(tmp_path, rules=rules, select={"quota": quota})
    words = ["filter", str(recipe), f"mine={ours}", f"x={theirs}", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert sorted(kept(tmp_path / "out")["source"]) == ["mine"] * 2 + ["x"] * 3
    assert main(words) == 0  # done already
    assert main([word.replace("x=", "y=") for word in words]) == Exit.USER  # another input
    first = kept(tmp_path / "out")["id"][0]
    assert main([*words[:4], "-o", str(tmp_path / "out"), "--explain", first]) == 0


def test_without_a_map_or_a_name_a_result_is_the_same_as_before(tmp_path: Path) -> None:
    data = tmp_path / "data.parquet"
    pl.DataFrame([row(1)]).write_parquet(data)
    distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    report = read_json(tmp_path / "out/report.json")
    assert "map" not in report["recipe"]
    distill.filter(filters(tmp_path, map={}), [data], out=tmp_path / "again")
    again = read_json(tmp_path / "again/report.json")
    assert again["fingerprint"] == report["fingerprint"]


def test_distills_own_files_are_not_called_unread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    (run / "traces").mkdir(parents=True)
    pl.DataFrame([row(1)]).write_parquet(run / "traces/part-00000.parquet")
    manifest: dict[str, Any] = {"rows": 1, "shards": {"part-00000.parquet": 1}, "plan": "p"}
    (run / "traces/manifest.json").write_text(json.dumps(manifest))
    for data in (run, run / "traces"):
        distill.filter(
            filters(tmp_path), data, out=tmp_path / data.name / "out" / "set", force=True
        )
    assert [m for m in caplog.messages if "not read" in m] == []
