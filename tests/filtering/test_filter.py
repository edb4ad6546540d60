"""Filtering: every row ends in one of two places with a reason, whatever is fed in."""

import importlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.write import read_json
from distill.filtering.workers import Engine
from distill.jail.probe import jail_or_refuse
from distill.publishing import dataset_card
from distill.rows import SCHEMA
from tests.builders.rows import filters, jsonl, row


def read(out: Path) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    return (
        pl.read_parquet(out / "kept/*.parquet"),
        pl.read_parquet(out / "dropped/*.parquet"),
        read_json(out / "report.json"),
    )


def test_every_dropped_row_says_why_and_keeps_its_values(tmp_path: Path) -> None:
    rows = [
        row(1),
        row(2, finish_reason="length"),
        row(3, response=""),  # thought and never answered
        row(4, response="\\boxed{99}"),
        row(5, finish_reason=None),  # unknown is not a pass
        row(6, gold=None),
    ]
    data = jsonl(tmp_path / "data.jsonl", *rows)
    assert distill.filter(filters(tmp_path), data, out=tmp_path / "out") == Exit.DONE
    kept, dropped, report = read(tmp_path / "out")
    assert kept.schema == SCHEMA
    assert kept["id"].to_list() == ["q1"]
    assert dict(zip(dropped["id"], dropped["reason"], strict=True)) == {
        "q2": "truncated",
        "q3": "malformed",
        "q4": "wrong",
        "q5": "truncated_unknown",
        "q6": "wrong",
    }
    wrong = dropped.filter(pl.col("id") == "q4").row(0, named=True)
    assert (wrong["verdict"], wrong["verdict_answer"], wrong["response"]) == (
        "wrong",
        "99",
        "\\boxed{99}",
    )
    assert report["read"] == 6 == report["kept"] + report["dropped"]
    assert sum(report["reasons"].values()) == report["dropped"] == 5


ODD = st.text(st.characters(), max_size=60)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "reasoning": ODD | st.none(),
                "response": ODD | st.none() | st.just("<think>\\boxed{"),
                "finish_reason": st.sampled_from(["stop", "length", "", None, "\x00"]),
                "gold": ODD | st.none(),
                "completion_tokens": st.integers(-5, 2**40) | st.none() | st.just("many"),
            }
        ),
        min_size=1,
        max_size=8,
    )
)
def test_kept_and_dropped_add_up_for_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("odd")
    lines = [json.dumps(row(i, **values)) for i, values in enumerate(rows)]
    clean = [line for line in lines if "\\ud" not in line]
    if not clean:
        return
    (tmp_path / "data.jsonl").write_text("\n".join(clean))
    distill.filter("r1", tmp_path / "data.jsonl", out=tmp_path / "out")
    kept, dropped, report = read(tmp_path / "out")
    assert kept.height + dropped.height == report["read"] == len(clean)
    assert dropped["reason"].null_count() == 0
    assert "" not in dropped["reason"]


def test_data_that_does_not_say_how_it_ended_is_named_with_the_way_to_let_it_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = jsonl(tmp_path / "data.jsonl", *(row(i, finish_reason=None) for i in range(3)))
    with caplog.at_level("WARNING", "distill"):
        distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    (said,) = caplog.messages
    assert said.startswith("no row says how its answer ended (finish_reason), so none passes trunc")
    assert main(shlex.split(said.partition("; to judge by the rest: distill ")[2])) == Exit.DONE
    assert read(tmp_path / "out")[2]["kept"] == 3


def test_rows_that_do_not_say_what_others_say_are_counted_with_the_way_to_let_them_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row(i, finish_reason=None if i < 3 else "stop") for i in range(5)]
    data = jsonl(tmp_path / "data.jsonl", *rows)
    with caplog.at_level("WARNING", "distill"):
        distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    (said,) = caplog.messages
    assert said.startswith("3 rows do not say what rule truncated asks for")
    advised = said.partition('--set "')[2].rstrip('"')
    distill.filter(filters(tmp_path), data, out=tmp_path / "again", overrides=[advised])
    assert read(tmp_path / "again")[2]["kept"] == 5


def test_selection_speaks_after_the_rules(tmp_path: Path) -> None:
    rows = [
        row(1),
        row(1, sample=1),  # the same answer to the same question
        row(1, sample=2, reasoning="Another way.", completion_tokens=5),
        row(1, sample=3, reasoning="A third way.", completion_tokens=90),
        row(2),
        row(3),
        row(4, response="\\boxed{0}"),
    ]
    select = {
        "dedupe": "exact",
        "per_prompt": {"at_most": 2, "prefer": "completion_tokens ASC"},
        "quota": {"math": 3},
    }
    data = jsonl(tmp_path / "data.jsonl", *rows)
    distill.filter(filters(tmp_path, select=select), data, out=tmp_path / "out")
    kept, dropped, report = read(tmp_path / "out")
    assert report["reasons"] == {"duplicate": 1, "per_prompt": 1, "quota": 1, "wrong": 1}
    assert kept.height == 3
    gone = {
        (name, sample): why
        for name, sample, why in dropped.select("id", "sample", "reason").iter_rows()
    }
    assert gone["q1", 1] == "duplicate"
    assert gone["q1", 3] == "per_prompt"


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_engine_and_workers_change_nothing_in_the_bytes(engine: Engine, tmp_path: Path) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    rows = [row(i, response=f"\\boxed{{{i + 1 + i % 3}}}") for i in range(5000)]
    data = jsonl(tmp_path / "data.jsonl", *rows)
    name = filters(tmp_path, select={"quota": {"math": 1000}})
    one, other = tmp_path / "one", tmp_path / "other"
    distill.filter(name, data, out=one, workers=1)
    distill.filter(name, data, out=other, workers=2, engine=engine)
    for folder in ("kept", "dropped", "signals"):
        names = [sorted(p.name for p in (out / folder).iterdir()) for out in (one, other)]
        assert names[0] == names[1] != []
        for file in names[0]:
            assert (one / folder / file).read_bytes() == (other / folder / file).read_bytes()
    assert read(one)[2]["kept"] == 1000


def test_a_second_call_reuses_the_result_and_another_recipe_needs_force(tmp_path: Path) -> None:
    data, out = jsonl(tmp_path / "data.jsonl", row(1), row(2)), tmp_path / "out"
    name = filters(tmp_path)
    distill.filter(name, data, out=out)
    before = (out / "report.json").stat().st_mtime_ns
    assert distill.filter(name, data, out=out) == Exit.DONE
    assert (out / "report.json").stat().st_mtime_ns == before
    change = ["rules.short=response_chars < 3"]
    with pytest.raises(UserError, match="holds a result of another"):
        distill.filter(name, data, out=out, overrides=change)
    distill.filter(name, data, out=out, overrides=change, force=True)
    assert read(out)[2]["reasons"] == {"short": 2}


def test_an_unfinished_result_is_not_mistaken_for_a_set(tmp_path: Path) -> None:
    data, out = jsonl(tmp_path / "data.jsonl", row(1)), tmp_path / "out"
    distill.filter(filters(tmp_path), data, out=out)
    (out / "report.json").unlink()  # what a kill before the end leaves
    (out / ".unfinished").touch()
    with pytest.raises(UserError, match="unfinished"):
        distill.filter(filters(tmp_path), out, out=tmp_path / "again")
    distill.filter(filters(tmp_path), data, out=out)
    assert read(out)[2]["kept"] == 1
    (out / ".unfinished").touch()  # what a kill between the report and the very end leaves
    distill.filter(filters(tmp_path), data, out=out)
    distill.filter(filters(tmp_path), out, out=tmp_path / "again")


def test_a_folder_of_somebody_elses_is_not_cleared(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1))
    (tmp_path / "out/signals").mkdir(parents=True)
    (tmp_path / "out/signals/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="was not made by distill"):
        distill.filter(filters(tmp_path), data, out=tmp_path / "out", force=True)
    assert (tmp_path / "out/signals/thesis.txt").exists()


def everything(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize("way", ["set", "kept", "dropped file", "signals glob", "link"])
def test_a_set_is_not_filtered_into_itself(way: str, tmp_path: Path) -> None:
    data, out = jsonl(tmp_path / "data.jsonl", row(1), row(2, gold="0")), tmp_path / "out"
    distill.filter(filters(tmp_path), data, out=out)
    (tmp_path / "link").symlink_to(out, target_is_directory=True)
    own = {
        "set": out,
        "kept": out / "kept",
        "dropped file": out / "dropped/part-00000.parquet",
        "signals glob": out / "signals/*.parquet",
        "link": tmp_path / "link/kept",
    }
    before = everything(out)
    with pytest.raises(UserError, match="is in the result that would be replaced"):
        distill.filter(filters(tmp_path), own[way], out=out, force=True)
    assert everything(out) == before


def test_a_set_is_filtered_into_its_neighbour(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1), row(2))
    distill.filter(filters(tmp_path), data, out=tmp_path / "set")
    distill.filter(filters(tmp_path), tmp_path / "set", out=tmp_path / "set/kept2")
    assert read(tmp_path / "set/kept2")[2]["kept"] == 2


@pytest.mark.parametrize("content", ['{"title": "the annual report"}', "no JSON at all"])
def test_a_report_of_somebody_elses_is_not_replaced(content: str, tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1))
    (tmp_path / "out/kept").mkdir(parents=True)
    (tmp_path / "out/kept/memories.txt").write_text("kept for years")
    (tmp_path / "out/report.json").write_text(content)
    before = everything(tmp_path / "out")
    with pytest.raises(UserError, match="was not made by distill"):
        distill.filter(filters(tmp_path), data, out=tmp_path / "out", force=True)
    assert everything(tmp_path / "out") == before


def test_code_is_refused_where_there_is_no_jail_before_anything_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    name = filters(tmp_path)
    distill.filter(name, jsonl(tmp_path / "math.jsonl", row(1)), out=out)
    before = everything(out)
    monkeypatch.setattr("distill.jail.probe.installed", list)
    jail_or_refuse.cache_clear()
    data = jsonl(tmp_path / "code.jsonl", row(1), row(2, verify="code", gold='{"kind": "x"}'))
    with pytest.raises(UserError, match="cannot be run safely here"):
        distill.filter(name, data, out=out, force=True)
    assert {p: d for p, d in everything(out).items() if ".rows" not in p.parts} == before
    change = ["rules={malformed: response_chars > 0}"]  # nothing asks for a verdict
    distill.filter(name, data, out=out, overrides=change, force=True)
    assert read(out)[2]["kept"] == 2


def test_rows_that_were_checked_without_a_sandbox_are_marked_as_such(tmp_path: Path) -> None:
    gold = '{"test_list": ["assert f(1) == 2", "assert f(2) == 3"]}'
    code = {"verify": "code", "gold": gold, "response": "```python\ndef f(x): return x + 1\n```"}
    data = jsonl(tmp_path / "code.jsonl", row(1), row(2, **code))
    out, change = tmp_path / "out", ["rules={wrong: \"verdict = 'correct'\"}"]
    distill.filter(
        filters(tmp_path), data, out=out, overrides=change, unsafe_no_sandbox=True, force=True
    )
    kept, _, said = read(out)
    assert dict(kept.select("id", "unsafe_no_sandbox").rows()) == {
        row(1)["id"]: False, row(2)["id"]: True,
    }  # fmt: skip
    assert said["unsafe_no_sandbox"] == {"read": 1, "kept": 1}
    card = dataset_card(said, sorted((out / "kept").glob("*.parquet")), repo_id="a/b")
    assert "1 kept rows were checked without a sandbox" in card


CHANGED = {
    "another order": [row(2, response="\\boxed{0}"), row(1)],
    "another text": [row(1), row(2, response="\\boxed{3}")],
    "another ending": [row(1, finish_reason="length"), row(2, response="\\boxed{0}")],
    "a row less": [row(1)],
    "a batch more": [row(1), row(2, response="\\boxed{0}"), *(row(i) for i in range(3, 2100))],
}


@pytest.mark.parametrize("how", CHANGED)
def test_data_that_changes_between_its_readings_gives_no_result(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1), row(2, response="\\boxed{0}"))
    module = importlib.import_module("distill.filtering.run")
    choose: Callable[..., pl.Series] = module.choose

    def choose_while_data_changes(*values: Any) -> pl.Series:
        jsonl(data, *CHANGED[how])
        return choose(*values)

    with monkeypatch.context() as patch:
        patch.setattr(module, "choose", choose_while_data_changes)
        with pytest.raises(UserError, match="DATA changed while it was read; run it again"):
            distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    assert not (tmp_path / "out/report.json").exists()
    distill.filter(filters(tmp_path), data, out=tmp_path / "out")
    assert read(tmp_path / "out")[2]["read"] == len(CHANGED[how])


BAD_RULES = {
    "thought_close": "did you mean 'thought_closed'",
    "response_chars > ": "rules.bad",
    "response_chars + 1": "rules.bad",
    "response_chars > (SELECT 1)": "rules.bad",
}


@pytest.mark.parametrize("sql", BAD_RULES)
def test_a_bad_rule_is_one_line_before_anything_is_written(sql: str, tmp_path: Path) -> None:
    data = jsonl(tmp_path / "data.jsonl", row(1))
    with pytest.raises(UserError) as refused:
        distill.filter(filters(tmp_path, rules={"bad": sql}), data, out=tmp_path / "out")
    assert BAD_RULES[sql] in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


BAD_DATA = {
    "empty": (b"", "no rows"),
    "not UTF-8": (b'{"response": "\xff"}', "data.jsonl:1: not UTF-8"),
    "not JSON": (b'{"response": "a"}\n{"resp', "data.jsonl:2: not JSON"),
    "no answers": (b'{"question": "a", "gold": "b"}', "found question, gold"),
    "twice": (json.dumps(row(1)).encode() + b"\n" + json.dumps(row(1)).encode(), "twice"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_no_result(kind: str, tmp_path: Path) -> None:
    content, expected = BAD_DATA[kind]
    (tmp_path / "data.jsonl").write_bytes(content)
    with pytest.raises(UserError) as refused:
        distill.filter(filters(tmp_path), tmp_path / "data.jsonl", out=tmp_path / "out")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("out/**/*.parquet"))
    assert not (tmp_path / "out/report.json").exists()
