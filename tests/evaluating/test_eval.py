"""Evaluating: an endpoint's answers become scores that can be believed."""

import json
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, UserError
from distill.files.write import read_json
from distill.teachers import retry
from tests.builders.teacher_server import completion, refusal, teacher_server


def benchmark(tmp_path: Path, problems: int = 10, **values: Any) -> str:
    lines = [{"question": f"Number {i}?", "gold": str(i)} for i in range(problems)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "plain.jinja").write_text("{{ question }}")
    whole = {
        "problems": {"file": "set.jsonl"},
        "template": "plain.jinja",
        "serve": {"engine": "transformers"},
        "sampling": {"max_tokens": 64},
    } | values
    path = tmp_path / "bench.yaml"
    path.write_text(json.dumps(whole))
    return str(path)


def number(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split()[1].rstrip("?"))


def test_scores_hold_what_was_answered_with_intervals(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        # of ten questions: seven right, one wrong, one cut, one without any answer
        i = number(body)
        if i == 7:
            return completion("\\boxed{0}")
        if i == 8:
            return completion("<think>so", finish_reason="length")
        return completion("I do not know.") if i == 9 else completion(f"\\boxed{{{i}}}")

    with teacher_server(answer) as server:
        name = benchmark(tmp_path)
        status = distill.eval(name, model=f"{server.url}#student", out=tmp_path / "out")
        assert status == Exit.DONE
        assert {body["model"] for body in server.bodies} == {"student"}
    found = read_json(tmp_path / "out/scores.json")["benchmarks"]["bench"]
    assert (found["n"], found["k"]) == (10, 1)
    assert found["pass@1"]["value"] == pytest.approx(0.7)
    low, high = found["pass@1"]["ci95"]
    assert (low, high) == pytest.approx((0.3968, 0.8922), abs=1e-3)  # Wilson, 7 of 10
    assert found["labels"] == {"correct": 7, "no_answer": 2, "wrong": 1}
    assert found["finish"] == {"stop": 9, "length": 1}


def test_k_samples_give_pass_at_k_and_the_vote(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        i = number(body)  # question 0: 2 of 3 right; question 1: 1 of 3; question 2: never
        right = n <= 2 - i
        return completion(f"\\boxed{{{i if right else 99}}}")

    with teacher_server(answer) as server:
        name = benchmark(tmp_path, problems=3, samples=3)
        distill.eval(name, model=f"{server.url}#s", out=tmp_path / "out")
    found = read_json(tmp_path / "out/scores.json")["benchmarks"]["bench"]
    assert found["pass@1"]["value"] == pytest.approx(3 / 9)
    assert found["pass@3"]["value"] == pytest.approx(2 / 3)
    assert found["cons@3"]["value"] == pytest.approx(1 / 3)


def test_a_question_that_got_no_answer_counts_as_not_correct(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(400) if number(body) == 0 else completion(f"\\boxed{{{number(body)}}}")

    with teacher_server(answer) as server:
        name = benchmark(tmp_path, problems=4)
        status = distill.eval(name, model=f"{server.url}#s", out=tmp_path / "out")
        assert status == Exit.ROWS_FAILED
    found = read_json(tmp_path / "out/scores.json")["benchmarks"]["bench"]
    assert found["n"] == 4
    assert found["pass@1"]["value"] == pytest.approx(3 / 4)


def test_an_outage_is_asked_again_by_the_same_command_and_then_is_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        if number(body) == 0 and n == 1:
            return refusal(503)
        return completion(f"\\boxed{{{number(body)}}}")

    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    with teacher_server(answer) as server:
        name, out = benchmark(tmp_path, problems=4), tmp_path / "out"

        def score() -> tuple[Exit, float, int]:
            status = distill.eval(name, model=f"{server.url}#s", out=out)
            found = read_json(out / "scores.json")["benchmarks"]["bench"]
            return status, found["pass@1"]["value"], server.asked.total()

        assert score() == (Exit.ROWS_FAILED, 0.75, 4)
        with pytest.raises(UserError, match="another plan"):  # unfinished is not free for all
            distill.eval(name, model=f"{server.url}#other", out=out)
        assert score() == (Exit.DONE, 1.0, 5)
        assert score() == (Exit.DONE, 1.0, 5)


def test_a_refusal_for_good_is_a_finished_score(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(400) if number(body) == 0 else completion("\\boxed{1}")

    with teacher_server(answer) as server:
        name, out = benchmark(tmp_path, problems=2), tmp_path / "out"
        distill.eval(name, model=f"{server.url}#s", out=out)
    assert read_json(out / "scores.json")["fingerprint"]
    assert distill.eval(name, model=f"{server.url}#s", out=out) == Exit.DONE


def test_scores_are_reused_for_the_same_model_and_refused_for_another(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = benchmark(tmp_path)
        distill.eval(name, model=f"{server.url}#a", out=tmp_path / "out")
        distill.eval(name, model=f"{server.url}#a", out=tmp_path / "out")
        assert server.asked.total() == 10
        with pytest.raises(UserError, match="holds a result of another"):
            distill.eval(name, model=f"{server.url}#b", out=tmp_path / "out")
        distill.eval(name, model=f"{server.url}#b", out=tmp_path / "out", force=True)
        assert server.asked.total() == 20
    assert read_json(tmp_path / "out/scores.json")["model"].endswith("#b")


@pytest.mark.parametrize(
    ("model", "values", "expected"),
    [
        ("http://127.0.0.1:9/v1", {}, "#name"),  # an endpoint without the model's name
        ("http://127.0.0.1:9/v1#m", {"verify": None}, "verify: missing"),
        ("ftp://x/v1#m", {}, "http:// or https://"),
        ("/no/such/folder", {}, "/no/such/folder"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(
    model: str, values: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as refused:
        distill.eval(benchmark(tmp_path, **values), model=model, out=tmp_path / "out")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
