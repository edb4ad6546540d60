"""Asking until enough answers are right: never more than needed, wherever a run was stopped."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import BudgetReached, Exit, StoppedError, UserError
from distill.generating.queue import RIGHT
from distill.showing.status import describe
from tests.builders.recipes import recipe
from tests.builders.runs import start, traces, wait_for
from tests.builders.teacher_server import Answer, completion, refusal, teacher_server

PRICE = {"price": {"input": 1.0, "output": 1000.0}}
USD = (10 * 1.0 + 20 * 1000.0) / 1e6  # of the test teacher's answer


def number(body: dict[str, Any]) -> int:
    """i of "What is i + 1?"."""
    return int(body["messages"][-1]["content"].split()[2])


def easy(body: dict[str, Any], n: int) -> dict[str, Any]:
    return completion(f"\\boxed{{{number(body) + 1}}}")


def wrong(body: dict[str, Any], n: int) -> dict[str, Any]:
    return completion("\\boxed{-1}")


def right_from(first: int) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    """The n-th answer of a problem is right from the ``first`` on."""
    return lambda body, n: (easy if n >= first else wrong)(body, n)


def mixed(body: dict[str, Any], n: int) -> dict[str, Any]:
    """Problem 0 is never right, 1 always, 2 in each second answer, 3 in each third, …"""
    i = number(body)
    return (easy if i and n % i == 0 else wrong)(body, n)


def counts(run: Path) -> dict[int, tuple[int, int]]:
    """Problem → (answers, right ones) in the ledger, counted by hand."""
    db = sqlite3.connect(run / "ledger.sqlite")
    found = db.execute(
        "SELECT p.question, r.verdict FROM requests r JOIN problems p ON p.id = r.id"
    ).fetchall()
    db.close()
    total: Counter[int] = Counter(int(question.split()[2]) for question, _ in found)
    right = Counter(int(question.split()[2]) for question, verdict in found if verdict == RIGHT)
    return {i: (n, right[i]) for i, n in total.items()}


def lines(run: Path) -> dict[str, str]:
    return dict(describe(run)[1])


def until(correct: int, at_most: int) -> dict[str, Any]:
    return {"until": {"correct": correct, "at_most": at_most}}


@pytest.mark.parametrize(("correct", "at_most"), [(1, 1), (1, 8), (3, 8), (4, 4)])
def test_an_easy_problem_is_asked_until_enough_and_an_impossible_one_to_the_last(
    correct: int, at_most: int, tmp_path: Path
) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return (easy if number(body) % 2 else wrong)(body, n)

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=10, **until(correct, at_most))
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        asked = {number({"messages": [{"content": q}]}): n for q, n in server.asked.items()}
        assert asked == {i: correct if i % 2 else at_most for i in range(10)}
        distill.generate(name, out=tmp_path / "run")  # both kinds are closed
        assert server.asked.total() == sum(asked.values())
    assert traces(tmp_path / "run").height == sum(asked.values())


@pytest.mark.parametrize("correct", [1, 2, 3])
def test_a_mixed_problem_stops_with_the_answer_that_makes_it_enough(
    correct: int, tmp_path: Path
) -> None:
    with teacher_server(mixed) as server:
        name = recipe(
            tmp_path, server, problems=5, teacher={"concurrency": 1}, **until(correct, 10)
        )
        distill.generate(name, out=tmp_path / "run")
    for i, (asked, right) in counts(tmp_path / "run").items():
        assert right <= correct
        assert asked == (10 if i == 0 else min(10, i * correct)), i


def test_no_more_than_are_missing_are_under_way_together(tmp_path: Path) -> None:
    for correct in (1, 3):
        with teacher_server(right_from(4), latency_s=0.02) as server:
            name = recipe(
                tmp_path, server, problems=1, teacher={"concurrency": 8}, **until(correct, 20)
            )
            distill.generate(name, out=tmp_path / f"run{correct}")
            assert server.most_at_once == correct
            assert server.asked.total() == 3 + correct


def test_a_refused_problem_is_asked_no_further_and_force_asks_it_again(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(400) if number(body) == 1 and n == 2 else wrong(body, n)

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=3, teacher={"concurrency": 1}, **until(2, 5))
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert sorted(server.asked.values()) == [2, 5, 5]
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked.total() == 12
        assert distill.generate(name, out=tmp_path / "run", force=True) == Exit.DONE
        assert sorted(server.asked.values()) == [5, 5, 6]


def test_more_answers_are_asked_for_when_more_are_allowed_or_wanted(tmp_path: Path) -> None:
    with teacher_server(mixed) as server:
        name = recipe(tmp_path, server, problems=3, **until(1, 2))

        def asked_under(*overrides: str) -> list[int]:
            distill.generate(name, out=tmp_path / "run", overrides=overrides)
            return [server.asked[f"What is {i} + 1?"] for i in range(3)]

        assert asked_under() == [2, 1, 2]
        assert asked_under("until.at_most=5") == [5, 1, 2]
        assert asked_under("until.at_most=5", "until.correct=2") == [5, 2, 4]
        assert asked_under("until.at_most=3") == [5, 2, 4]
    assert traces(tmp_path / "run").height == 8  # the others stay in the ledger


def test_answers_from_before_there_was_a_stopping_rule_are_checked_and_counted(
    tmp_path: Path,
) -> None:
    with teacher_server(mixed) as server:
        name = recipe(tmp_path, server, problems=4, samples=2, teacher={"concurrency": 1})
        distill.generate(name, out=tmp_path / "run")
        assert counts(tmp_path / "run") == dict.fromkeys(range(4), (2, 0))
        name = recipe(tmp_path, server, problems=4, teacher={"concurrency": 1}, **until(2, 7))
        distill.generate(name, out=tmp_path / "run")
        # right are: none; each; each second (2 and 4); each third (3 and 6)
        assert counts(tmp_path / "run") == {0: (7, 0), 1: (2, 2), 2: (4, 2), 3: (6, 2)}
        assert server.asked.total() == 7 + 2 + 4 + 6


def test_a_run_that_was_stopped_asks_no_more_than_is_still_needed(tmp_path: Path) -> None:
    def until_refused(left: Iterator[int]) -> Answer:
        return lambda body, n: (
            right_from(1 + number(body))(body, n) if next(left, None) is not None else refusal(401)
        )

    def to_the_end() -> int:
        """Answers come until the key is refused, at another place each time; the passes."""
        passes = 0
        while True:
            passes += 1
            server.answer = until_refused(iter(range(7)))
            try:
                distill.generate(name, out=tmp_path / "run")
            except StoppedError:
                continue
            return passes

    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=8, teacher={"concurrency": 3}, **until(2, 6))
        assert to_the_end() > 3
    for asked, right in counts(tmp_path / "run").values():
        assert right == 2 or (right < 2 and asked == 6)
    # none was bought that is not in use: not twice, and not beyond what was enough
    assert server.answered.total() == sum(asked for asked, _ in counts(tmp_path / "run").values())


def test_a_killed_run_asks_only_what_its_ledger_lacks(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return (easy if number(body) % 2 else wrong)(body, n)

    with teacher_server(answer, latency_s=0.02) as server:
        name, run = recipe(tmp_path, server, problems=40, **until(2, 5)), tmp_path / "run"
        process = start(name, run)
        wait_for(server, 50)
        process.kill()
        process.communicate()
        time.sleep(0.2)  # the server has read what was sent to it
        server.latency_s = 0
        kept, before = counts(run), server.asked.copy()
        distill.generate(name, out=run)
        assert len(kept) < 40
        for i in range(40):
            asked, right = kept.get(i, (0, 0))
            question = f"What is {i} + 1?"
            missing = 2 - right if i % 2 else 5 - asked
            assert server.asked[question] - before[question] == missing, i
    assert counts(run) == {i: (2, 2) if i % 2 else (5, 0) for i in range(40)}


def test_a_limit_and_a_budget_stop_a_run_that_goes_on_later(tmp_path: Path) -> None:
    with teacher_server(right_from(2)) as server:
        name = recipe(tmp_path, server, problems=6, teacher=PRICE, **until(1, 4))
        distill.generate(name, out=tmp_path / "run", limit=2)
        assert server.asked.total() == 4
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.25)
        distill.generate(name, out=tmp_path / "run", budget_usd=10)
        assert set(server.asked.values()) == {2}


def test_an_answer_that_is_not_whole_is_never_right(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return {**easy(body, n), **({} if n > 2 else cut(body))}

    def cut(body: dict[str, Any]) -> dict[str, Any]:
        return completion(easy(body, 1)["choices"][0]["message"]["content"], finish_reason="length")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=2, **until(1, 5))
        distill.generate(name, out=tmp_path / "run")
        assert set(server.asked.values()) == {3}
    assert counts(tmp_path / "run") == {0: (3, 1), 1: (3, 1)}


@pytest.mark.parametrize("repair", ["retry_max_tokens", "continue_tokens"])
def test_an_answer_and_its_second_try_are_one_answer(repair: str, tmp_path: Path) -> None:
    """Both are right, and that is one right answer."""
    said = iter([("1", "length"), ("1", "stop"), ("-1", "stop"), ("1", "stop")])

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        text, finish = next(said)
        return completion(f"\\boxed{{{text}}}", finish_reason=finish)

    with teacher_server(answer) as server:
        teacher = {"continues": "assistant_turn", "concurrency": 1}
        truncated = {repair: 400}
        name = recipe(
            tmp_path, server, problems=1, teacher=teacher, truncated=truncated, **until(2, 5)
        )
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 4
    assert counts(tmp_path / "run") == {0: (3, 2)}


def test_status_agrees_with_a_count_by_hand(tmp_path: Path) -> None:
    with teacher_server(mixed) as server:
        name = recipe(
            tmp_path,
            server,
            problems=6,
            teacher={**PRICE, "concurrency": 1},
            **until(2, 7),
        )
        distill.generate(name, out=tmp_path / "run")
        tries = server.asked.total()
    found = counts(tmp_path / "run")
    # problem i is right in answers i, 2i, …: 0 never, 4 and 5 once in seven
    assert found == {0: (7, 0), 1: (2, 2), 2: (4, 2), 3: (6, 2), 4: (7, 1), 5: (7, 1)}
    assert tries == 33
    said = lines(tmp_path / "run")
    assert said["asked"] == "6 problems, until 2 right, at most 7 answers"
    assert said["answered"] == "33"
    assert said["solved"] == "3 of 6 asked"
    assert said["rescued"] == "2 that the first answers alone would have lost"  # 2 and 3
    right = 8
    cost = f"{20 * tries / right:,.0f} completion tokens, ${tries * USD / right:,.4f}"
    assert said["a right answer"] == f"{cost} (8 of them)"
    assert "left" not in said


def test_status_of_a_run_without_a_right_answer_divides_by_nothing(tmp_path: Path) -> None:
    with teacher_server(wrong) as server:
        distill.generate(recipe(tmp_path, server, **until(1, 2)), out=tmp_path / "run")
    said = lines(tmp_path / "run")
    assert said["solved"] == "0 of 5 asked"
    assert "a right answer" not in said


MISTAKES = [
    ({"until": {"correct": 3, "at_most": 2}}, r"at_most \(2\) is less than correct \(3\)"),
    ({**until(1, 2), "samples": 2}, "give samples or until, not both"),
    ({**until(1, 2), "verify": None}, "until: needs verify"),
    ({"until": {"correct": 0, "at_most": 2}}, "until.correct"),
    ({"until": {"correct": 1}}, "until.at_most"),
]


@pytest.mark.parametrize(("values", "said"), MISTAKES)
def test_a_rule_that_makes_no_sense_is_refused_before_any_request(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with teacher_server() as server:
        with pytest.raises(UserError, match=said):
            distill.generate(recipe(tmp_path, server, **values), out=tmp_path / "run")
        assert server.asked.total() == 0
