"""What is done about an answer that was cut: once, and nothing that was paid for is lost."""

import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import BudgetReached, Exit, UserError
from distill.showing.status import describe
from distill.teachers import retry
from tests.builders.recipes import block, recipe
from tests.builders.runs import start, traces, wait_for
from tests.builders.teacher_server import TeacherServer, completion, refusal, teacher_server

PRICE = {"price": {"input": 1.0, "output": 1000.0}}
RETRY: dict[str, Any] = {"truncated": {"retry_max_tokens": 400}}
CONTINUE: dict[str, Any] = {
    "truncated": {"continue_tokens": 50},
    "teacher": {"continues": "assistant_turn"},
}


def cut(text: str = "\\box", **values: Any) -> dict[str, Any]:
    return completion(text, finish_reason="length", **values)


def continued(body: dict[str, Any]) -> bool:
    return bool(body["messages"][-1]["role"] == "assistant")


def question(body: dict[str, Any]) -> str:
    """What was asked, also where the last turn is the answer so far."""
    return str([turn for turn in body["messages"] if turn["role"] == "user"][-1]["content"])


def limits(server: TeacherServer) -> dict[str, list[int]]:
    """Question → the limits it was asked with, in order."""
    found: dict[str, list[int]] = {}
    for body in server.bodies:
        found.setdefault(question(body), []).append(body["max_tokens"])
    return found


def lines(run: Path) -> dict[str, str]:
    return dict(describe(run)[1])


# --- asking anew with a larger limit ---


def test_a_cut_answer_is_asked_once_more_with_the_larger_limit(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return completion("whole") if body["max_tokens"] == 400 else cut()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, **RETRY)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert list(limits(server).values()) == [[100, 400]] * 5
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 10
    table = traces(tmp_path / "run")
    assert set(table["response"]) == {"whole"}
    assert set(table["finish_reason"]) == {"stop"}
    assert lines(tmp_path / "run")["cut at the limit"] == "0, completed 5"


def test_an_answer_that_ended_by_itself_is_not_asked_again(tmp_path: Path) -> None:
    for values in (RETRY, CONTINUE):
        with teacher_server() as server:
            distill.generate(recipe(tmp_path, server, **values), out=tmp_path / str(id(values)))
            assert set(server.asked.values()) == {1}


def test_what_is_still_cut_under_the_larger_limit_is_kept_and_asked_no_more(
    tmp_path: Path,
) -> None:
    with teacher_server(lambda body, n: cut(str(body["max_tokens"]))) as server:
        name = recipe(tmp_path, server, **RETRY)
        for _ in range(3):
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert list(limits(server).values()) == [[100, 400]] * 5
        table = traces(tmp_path / "run")
        assert set(table["response"]) == {"400"}
        assert set(table["finish_reason"]) == {"length"}
        assert lines(tmp_path / "run")["cut at the limit"] == "5"
        larger = ["truncated.retry_max_tokens=800"]
        distill.generate(name, out=tmp_path / "run", overrides=larger)
        assert list(limits(server).values()) == [[100, 400, 800]] * 5


@pytest.mark.parametrize("values", [RETRY, CONTINUE], ids=["anew", "on"])
def test_a_second_try_that_is_refused_keeps_the_first_answer(
    values: dict[str, Any], tmp_path: Path
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        second = body["max_tokens"] != 100
        return refusal(400, "context length") if second else cut("so far")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, **values)
        for _ in range(2):
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 10
    table = traces(tmp_path / "run")
    assert table.select("response", "finish_reason").unique().rows() == [("so far", "length")]
    assert table.height == 5


def test_a_second_try_that_fails_for_now_is_made_by_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    for folder, values in (("anew", RETRY), ("on", CONTINUE)):
        with teacher_server() as server:
            server.answer = lambda body, n: cut("a") if body["max_tokens"] == 100 else refusal(500)
            name = recipe(tmp_path, server, problems=3, **values)
            run = tmp_path / folder
            assert distill.generate(name, out=run) == Exit.ROWS_FAILED
            assert set(traces(run)["response"]) == {"a"}
            server.answer = lambda body, n: completion("b")
            assert distill.generate(name, out=run) == Exit.DONE
            assert server.bodies[-1]["max_tokens"] != 100
            assert server.asked.total() == 9
        assert set(traces(run)["response"]) == {"b" if values is RETRY else "ab"}


def test_with_a_stopping_rule_a_second_try_comes_before_another_answer(tmp_path: Path) -> None:
    """And a problem whose second try is refused goes on with its other answers."""

    def answer(body: dict[str, Any], n: int) -> Any:
        if body["max_tokens"] == 100 and n in (1, 3):
            return cut()
        return refusal(400) if n == 4 else completion("\\boxed{0}")

    rule = {"until": {"correct": 1, "at_most": 4}}
    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=1, teacher={"concurrency": 1}, **RETRY, **rule)
        distill.generate(name, out=tmp_path / "run")
        assert limits(server) == {"What is 0 + 1?": [100, 400, 100, 400, 100, 100]}
    assert traces(tmp_path / "run").height == 4


def test_cut_answers_of_an_earlier_run_are_mended_one_by_one_under_a_stopping_rule(
    tmp_path: Path,
) -> None:
    with teacher_server(lambda body, n: cut(), latency_s=0.02) as server:
        one: dict[str, Any] = {"problems": 1, "teacher": {"concurrency": 8}}
        distill.generate(recipe(tmp_path, server, samples=4, **one), out=tmp_path / "run")
        server.most_at_once = 0
        server.answer = lambda body, n: completion("\\boxed{1}" if n == 6 else "\\boxed{9}")
        rule: dict[str, Any] = {"until": {"correct": 1, "at_most": 4}}
        distill.generate(recipe(tmp_path, server, **one, **RETRY, **rule), out=tmp_path / "run")
        assert server.most_at_once == 1
        assert limits(server) == {"What is 0 + 1?": [100] * 4 + [400, 400]}


# --- going on with it ---


def test_a_cut_answer_is_gone_on_with_once_and_its_parts_are_one_answer(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        usage = {"prompt_tokens": 30, "completion_tokens": 7}
        return completion("ed{4}", usage=usage) if continued(body) else cut("It is \\box")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, **{**CONTINUE, "teacher": {**CONTINUE["teacher"], **PRICE}})
        for _ in range(2):
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert list(limits(server).values()) == [[100, 50]] * 5
        rest = [body for body in server.bodies if continued(body)]
        assert all(
            body["messages"][-1] == {"role": "assistant", "content": "It is \\box"} for body in rest
        )
    table = traces(tmp_path / "run")
    columns = ("response", "finish_reason", "prompt_tokens", "completion_tokens")
    assert table.select(columns).unique().rows() == [("It is \\boxed{4}", "stop", 40, 27)]
    assert set(table["messages"].list.len()) == {1}
    cost = (40 * 1.0 + 27 * 1000.0) / 1e6
    assert table["cost_usd"].to_list() == pytest.approx([cost] * 5)
    said = lines(tmp_path / "run")
    assert said["spent at most"] == f"${5 * cost:,.4f}"
    assert said["tokens"] == "200 prompt, 135 completion"
    assert said["cut at the limit"] == "0, completed 5"


def test_what_is_cut_again_is_kept_in_one_piece_and_gone_on_with_no_more(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: cut("b" if continued(body) else "a")) as server:
        name = recipe(tmp_path, server, **CONTINUE)
        for _ in range(3):
            distill.generate(name, out=tmp_path / "run")
        assert list(limits(server).values()) == [[100, 50]] * 5
        table = traces(tmp_path / "run")
        assert table.select("response", "finish_reason").unique().rows() == [("ab", "length")]
        larger = ["sampling.max_tokens=200"]  # of the first try: the whole is asked anew
        distill.generate(name, out=tmp_path / "run", overrides=larger)
        assert list(limits(server).values()) == [[100, 50, 200, 50]] * 5
    assert set(traces(tmp_path / "run")["response"]) == {"ab"}


# The cut answer as a server sends it, and the last turn and the switches that ask for the rest.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "assistant_turn": ({"content": "<think>\nOne an"}, {}),
    "continue_final_message": (
        {"content": "<think>\nOne an"},
        {"continue_final_message": True, "add_generation_prompt": False},
    ),
    "deepseek_prefix": ({"content": "", "reasoning_content": "One an", "prefix": True}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_is_asked_for_as_the_endpoint_wants_it(kind: str, tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        if continued(body):
            return completion("\\boxed{1}", message={"reasoning_content": "d one."})
        return cut("", message={"reasoning_content": "One an"})

    turn, switches = KINDS[kind]
    with teacher_server(answer) as server:
        values = {**CONTINUE, "teacher": {"continues": kind}}
        name = recipe(tmp_path, server, problems=2, **values)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        rest = [body for body in server.bodies if continued(body)]
        assert len(rest) == 2
        for body in rest:
            assert body["messages"][-1] == {"role": "assistant", **turn}
            assert [m["role"] for m in body["messages"]] == ["user", "assistant"]
            assert {k: v for k, v in body.items() if k in KINDS["continue_final_message"][1]} == (
                switches
            )
        beta = "/beta" if kind == "deepseek_prefix" else "/v1"
        assert server.paths["/v1/chat/completions"] == (2 if beta == "/beta" else 4)
        assert server.paths.total() == 4
    table = traces(tmp_path / "run")
    assert table.select("reasoning", "response").unique().rows() == [("One and one.", "\\boxed{1}")]


def test_an_answer_is_right_by_all_its_parts_together(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return completion("}, not 7") if continued(body) else cut("It is \\boxed{1")

    rule = {"until": {"correct": 1, "at_most": 3}}
    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=1, **CONTINUE, **rule)
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 2
    assert lines(tmp_path / "run")["solved"] == "1 of 1 asked"


def test_answers_that_were_cut_before_there_was_a_rule_are_gone_on_with(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: cut("a")) as server:
        distill.generate(recipe(tmp_path, server, samples=2), out=tmp_path / "run")
        server.answer = lambda body, n: completion("b")
        name = recipe(tmp_path, server, samples=2, **CONTINUE)
        distill.generate(name, out=tmp_path / "run", limit=3)
        distill.generate(name, out=tmp_path / "run")
        assert list(limits(server).values()) == [[100, 100, 50, 50]] * 5
        assert all(map(continued, server.bodies[10:]))
    assert traces(tmp_path / "run")["response"].to_list() == ["ab"] * 10


def test_a_killed_run_goes_on_with_each_cut_answer_once(tmp_path: Path) -> None:
    """Whatever is in the ledger when the run is killed is not bought again."""
    with teacher_server(
        lambda body, n: completion("b") if continued(body) else cut("a"), latency_s=0.02
    ) as server:
        name, run = recipe(tmp_path, server, problems=60, **CONTINUE), tmp_path / "run"
        process = start(name, run)
        wait_for(server, 40)
        process.kill()
        process.communicate()
        time.sleep(0.2)  # the server has read what was sent to it
        db = sqlite3.connect(run / "ledger.sqlite")
        sql = "SELECT p.question, r.repaired FROM requests r JOIN problems p ON p.id = r.id"
        kept = dict(db.execute(sql).fetchall())
        db.close()
        server.latency_s = 0
        before = len(server.bodies)
        distill.generate(name, out=run)
        again = Counter((question(body), continued(body)) for body in server.bodies[before:])
    assert 0 < len(kept) < 60
    for i in range(60):
        name = f"What is {i} + 1?"
        assert again[name, False] <= (name not in kept)
        assert again[name, True] <= (not kept.get(name))
    assert traces(run)["response"].to_list() == ["ab"] * 60


def test_the_budget_counts_the_second_try_too(tmp_path: Path) -> None:
    """A second try may cost four times the first here, and the cap holds."""
    with teacher_server(lambda body, n: cut()) as server:
        name = recipe(tmp_path, server, problems=20, teacher=PRICE, **RETRY)
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.5)
        spent = server.asked.total() * 0.02001
        assert 0.5 - 0.4001 < spent <= 0.5
        distill.generate(name, out=tmp_path / "run", budget_usd=50)
        assert list(limits(server).values()) == [[100, 400]] * 20


# --- what is refused ---


def test_an_endpoint_that_cannot_go_on_is_refused_before_any_request(tmp_path: Path) -> None:
    with teacher_server() as able, teacher_server() as unable:
        truncated = {"continue_tokens": 50}
        alone = recipe(tmp_path, unable, truncated=truncated)
        with pytest.raises(UserError, match=r"recipe\.yaml: truncated\.continue_tokens: .* is not"):
            distill.generate(alone, out=tmp_path / "run")
        blocks = block(able, "m1", continues="assistant_turn"), block(unable, "m2")
        beside = recipe(tmp_path, *blocks, truncated=truncated)
        with pytest.raises(UserError, match=f"{unable.url} m2 is not known to go on"):
            distill.generate(beside, out=tmp_path / "run")
        assert able.asked.total() + unable.asked.total() == 0


MISTAKES = [
    ({}, "give exactly one of continue_tokens and retry_max_tokens"),
    ({"continue_tokens": 5, "retry_max_tokens": 500}, "give exactly one of"),
    ({"retry_max_tokens": 100}, r"not above sampling.max_tokens \(100\)"),
    ({"continue_tokens": 0}, "truncated.continue_tokens"),
]


@pytest.mark.parametrize(("truncated", "said"), MISTAKES)
def test_a_repair_that_makes_no_sense_is_refused_before_any_request(
    truncated: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with teacher_server() as server:
        with pytest.raises(UserError, match=said):
            distill.generate(recipe(tmp_path, server, truncated=truncated), out=tmp_path / "run")
        assert server.asked.total() == 0


def test_one_model_does_not_go_on_with_anothers_answer(tmp_path: Path) -> None:
    with teacher_server() as one, teacher_server() as two:
        how = {"continues": "assistant_turn"}
        teachers = [block(one, "a", **how), block(two, "b", **how)]
        name = recipe(tmp_path, *teachers, truncated={"continue_tokens": 50})
        with pytest.raises(UserError, match="a and b would go on with each other"):
            distill.generate(name, out=tmp_path / "run")
        same = [{**teacher, "known_as": "M"} for teacher in teachers]
        name = recipe(tmp_path, *same, truncated={"continue_tokens": 50})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
