"""Rounds over the loopback teacher: the traces of one run are the prompts of the next."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.errors import Exit, UserError
from distill.rows import SCHEMA
from tests.builders.recipes import recipe
from tests.builders.runs import traces
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

TEMPLATE = "Q {{ question }} G {{ gold }} T {{ reasoning }} A {{ response }}"
OTHER = ("id", "sample", "messages", "gold", "verify", "domain", "source")  # what a round keeps


def solve(body: dict[str, Any], n: int) -> dict[str, Any]:
    """A thought and the right answer, both other in every answer of a question."""
    i = int(body["messages"][-1]["content"].split()[2])
    message = {"reasoning_content": f"Let me count on from {i}, try {n}."}
    return completion(f"It is \\boxed{{{i + 1}}}, says try {n}.", message=message)


def first(tmp_path: Path, **values: Any) -> pl.DataFrame:
    """The traces of a run in ``tmp_path``/one."""
    with teacher_server(solve) as server:
        name = recipe(tmp_path, server, **{"problems": 3, "samples": 2, **values})
        distill.generate(name, out=tmp_path / "one")
    return traces(tmp_path / "one")


def second(tmp_path: Path, server: TeacherServer, template: str = TEMPLATE, **values: Any) -> str:
    """A recipe whose prompts are the traces of ``tmp_path``/one."""
    whole = {
        "problems": {"traces": "one"},
        "template": "round.jinja",
        "teacher": {"model": "m2", "base_url": server.url, "concurrency": 4},
        "sampling": {"max_tokens": 100},
        **values,
    }
    path = tmp_path / "second.yaml"
    path.write_text(json.dumps(whole))
    (tmp_path / "round.jinja").write_text(template)
    return str(path)


def pairs(table: pl.DataFrame) -> list[tuple[str, int]]:
    return table.select("id", "sample").rows()


def test_each_trace_is_a_prompt_with_its_question_gold_thought_and_answer(tmp_path: Path) -> None:
    one = first(tmp_path)
    with teacher_server() as server:
        assert distill.generate(second(tmp_path, server), out=tmp_path / "two") == Exit.DONE
        asked = sorted(body["messages"][-1]["content"] for body in server.bodies)
    assert asked == sorted(
        f"Q {row['messages'][-1]['content']} G {row['gold']} T {row['reasoning']} "
        f"A {row['response']}"
        for row in one.iter_rows(named=True)
    )


def test_judgements_are_rows_of_their_own_named_after_what_they_judge(tmp_path: Path) -> None:
    one = first(tmp_path)
    with teacher_server(lambda body, n: completion(f"verdict {n}")) as server:
        name = second(tmp_path, server, verify=None, samples=2)
        distill.generate(name, out=tmp_path / "two")
        assert set(server.asked.values()) == {2}
    two = traces(tmp_path / "two")
    assert two.schema == SCHEMA
    assert set(two["id"]) == {f"{id}.{sample}" for id, sample in pairs(one)}
    assert two.height == 2 * one.height == len(set(pairs(two)))
    assert set(two["response"]) == {"verdict 1", "verdict 2"}
    assert two["verify"].null_count() == two.height
    prompts = set(two["messages"].list.last().struct.field("content"))
    assert prompts == set(server.asked)


def test_an_answer_of_a_round_is_checked_against_the_gold_of_the_trace(tmp_path: Path) -> None:
    """Such as: solve it again, with what was tried before in sight."""
    first(tmp_path, problems=2, samples=1)

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        gold = body["messages"][-1]["content"].split(" G ")[1].split()[0]
        return completion(f"\\boxed{{{gold}}}" if n == 2 else "\\boxed{-1}")

    with teacher_server(answer) as server:
        rule = {"correct": 1, "at_most": 5}
        distill.generate(second(tmp_path, server, until=rule), out=tmp_path / "two")
        assert set(server.asked.values()) == {2}


@pytest.mark.parametrize("part", ["reasoning", "response"])
def test_an_answer_takes_the_place_of_one_part_and_the_rest_of_the_row_stays(
    part: str, tmp_path: Path
) -> None:
    one = first(tmp_path)

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        text = body["messages"][-1]["content"].split(" T " if part == "reasoning" else " A ")[1]
        message = {"reasoning_content": "How do I say this?"}
        return completion(f"better: {text.split(' A ')[0]}", message=message, model="editor")

    with teacher_server(answer) as server:
        name = second(tmp_path, server, becomes=part)
        assert distill.generate(name, out=tmp_path / "two") == Exit.DONE
    two = traces(tmp_path / "two")
    assert two.schema == SCHEMA
    kept = [*OTHER, "response" if part == "reasoning" else "reasoning"]
    assert two.select(kept).rows() == one.select(kept).rows()
    assert two[part].to_list() == [f"better: {text}" for text in one[part]]
    assert set(two["teacher"]) == {"test-teacher > editor"}
    assert set(two["finish_reason"]) == {"stop"}
    counts = ("prompt_tokens", "reasoning_tokens", "completion_tokens")
    assert all(two[name].null_count() == two.height for name in counts)  # of the answer, not of it


def test_a_mended_set_is_filtered_as_any_other(tmp_path: Path) -> None:
    first(tmp_path)

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        text = body["messages"][-1]["content"]
        if " 2 + 1" in text and "try 1" in text:
            return completion("I count on, and", finish_reason="length")
        return completion(f"I count on: {text.split(' T ')[1].split(' A ')[0]}")

    with teacher_server(answer) as server:
        distill.generate(second(tmp_path, server, becomes="reasoning"), out=tmp_path / "two")
    for filters, kept in (("label-all", 5), ("r1", 5)):
        out = tmp_path / filters
        assert distill.filter(filters, tmp_path / "two", out=out) == Exit.DONE
        table = pl.read_parquet(out / "kept" / "*.parquet")
        assert table.height == kept
        assert table["reasoning"].str.starts_with("I count on: ").all()
        assert table["response"].str.starts_with("It is \\boxed{").all()
        report = json.loads((out / "report.json").read_text())
        assert report["reasons"] == {"truncated": 1}  # what was cut is no thought
    labels = pl.read_parquet(tmp_path / "label-all" / "signals" / "*.parquet")
    assert labels["verdict"].drop_nulls().to_list() == ["correct"] * 5


def test_several_answers_to_a_trace_are_samples_that_no_other_trace_has(tmp_path: Path) -> None:
    one = first(tmp_path)
    with teacher_server(lambda body, n: completion(f"thought {n}")) as server:
        name = second(tmp_path, server, becomes="reasoning", samples=3)
        distill.generate(name, out=tmp_path / "two")
    two = traces(tmp_path / "two")
    assert pairs(two) == sorted((id, 3 * sample + n) for id, sample in pairs(one) for n in range(3))
    told = dict(zip(pairs(one), one["response"], strict=True))
    for row in two.iter_rows(named=True):
        assert row["response"] == told[row["id"], row["sample"] // 3]


def test_a_round_can_begin_with_a_filtered_set_and_be_followed_by_another(tmp_path: Path) -> None:
    one = first(tmp_path)
    distill.filter("r1", tmp_path / "one", out=tmp_path / "good")
    with teacher_server(lambda body, n: completion("shorter")) as server:
        name = second(tmp_path, server, becomes="reasoning", problems={"traces": "good"})
        distill.generate(name, out=tmp_path / "two")
        name = second(tmp_path, server, becomes="response", problems={"traces": "two"})
        distill.generate(name, out=tmp_path / "three")
    three = traces(tmp_path / "three")
    assert three.select(OTHER).rows() == one.select(OTHER).rows()
    assert set(three["reasoning"]) == set(three["response"]) == {"shorter"}
    assert set(three["teacher"]) == {"test-teacher > test-teacher > test-teacher"}


def test_a_round_goes_on_and_asks_anew_only_what_another_trace_took_the_place_of(
    tmp_path: Path,
) -> None:
    first(tmp_path, samples=1)
    with teacher_server(lambda body, n: completion("shorter")) as server:
        name = second(tmp_path, server, becomes="reasoning")
        distill.generate(name, out=tmp_path / "two", limit=2)
        distill.generate(name, out=tmp_path / "two")
        assert server.asked.total() == 3
        shard = tmp_path / "one" / "traces" / "part-00000.parquet"
        table = pl.read_parquet(shard)
        changed = pl.when(pl.col("gold") == "2").then(pl.lit("new")).otherwise("reasoning")
        table.with_columns(changed.alias("reasoning")).write_parquet(shard)
        distill.generate(name, out=tmp_path / "two")
        assert server.asked.total() == 4
        assert " T new A " in server.bodies[-1]["messages"][-1]["content"]
    assert traces(tmp_path / "two").height == 3


def test_a_dry_run_counts_the_traces_and_asks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first(tmp_path)
    with teacher_server() as server:
        name = second(tmp_path, server, becomes="reasoning", samples=2)
        with caplog.at_level("INFO", "distill"):
            distill.generate(name, out=tmp_path / "two", dry_run=True)
        assert server.asked.total() == 0
    assert "would ask 12 requests" in caplog.text


def test_a_template_that_wants_a_trace_where_there_is_none_is_refused(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        (tmp_path / "math.jinja").write_text("{{ question }} {{ reasoning }}")
        with pytest.raises(UserError, match="'reasoning' is undefined"):
            distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 0


def test_only_traces_have_a_part_to_replace(tmp_path: Path) -> None:
    with teacher_server() as server:
        with pytest.raises(UserError, match="becomes: only traces have a part to replace"):
            distill.generate(recipe(tmp_path, server, becomes="response"), out=tmp_path / "run")
        assert server.asked.total() == 0


def test_a_trace_without_a_check_is_not_asked_until_it_is_right(tmp_path: Path) -> None:
    trace = {"id": "a", "sample": 0, "reasoning": "r", "response": "s", "gold": "2", "verify": None}
    turns = [{"role": "user", "content": "1 + 1?"}]
    lines = [
        {**trace, "messages": turns},
        {**trace, "messages": turns, "id": "b", "verify": "math"},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with teacher_server(lambda body, n: completion("\\boxed{3}")) as server:
        rounds = {"becomes": "response", "until": {"correct": 1, "at_most": 3}}
        name = recipe(tmp_path, server)
        whole = {**json.loads(Path(name).read_text()), **rounds}
        whole["problems"] = {"traces": str(tmp_path / "t.jsonl")}
        Path(name).write_text(json.dumps(whole))
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 3
