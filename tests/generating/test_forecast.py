"""What a run would ask and cost, before it does: figures by hand, and nothing written."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill
from distill.generating.forecast import R1_TOKENS, TOKENS_PER_S
from tests.builders.recipes import block, nowhere, recipe
from tests.builders.runs import ahead
from tests.builders.teacher_server import completion, refusal, teacher_server

CHARS = len("What is 0 + 1?")
PROMPT = CHARS / 4.0  # tokens, expected
BOUND = 1024 + 16 + len("user") + CHARS  # tokens at most: of the turn, and one for each byte
PRICE: dict[str, Any] = {"price": {"input": 2.0, "output": 1000.0}}


def test_a_fresh_run_by_hand(tmp_path: Path) -> None:
    name = recipe(tmp_path, nowhere(), problems=5, samples=2, teacher=PRICE)
    assert asdict(ahead(name, tmp_path / "run")) == {
        "requests": 10,
        "prompt_tokens": 35,
        "completion_tokens": 1000,  # the limit, which is less than R1's mean
        "worst_tokens": 10 * (BOUND + 100),
        "expected_usd": pytest.approx(10 * (PROMPT * 2 + 100 * 1000) / 1e6),
        "worst_usd": pytest.approx(10 * (BOUND * 2 + 100 * 1000) / 1e6),
        "hours": pytest.approx(10 / 4 * (100 / TOKENS_PER_S) / 3600),
        "grounds": "R1's mean answer in math, at 30 tokens/s each",
    }


@pytest.mark.parametrize("domain", R1_TOKENS)
def test_before_there_are_answers_r1s_mean_is_expected(domain: str, tmp_path: Path) -> None:
    name = recipe(tmp_path, nowhere(), domain=domain, sampling={"max_tokens": 32_768})
    found = ahead(name, tmp_path / "run")
    assert found.completion_tokens == 5 * R1_TOKENS[domain]
    assert found.hours == pytest.approx(5 / 4 * R1_TOKENS[domain] / TOKENS_PER_S / 3600)
    assert f"R1's mean answer in {domain}" in found.grounds
    assert (found.expected_usd, found.worst_usd) == (None, None)  # no price


def test_after_some_answers_it_rests_on_them(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        i = int(body["messages"][-1]["content"].split()[2])
        return completion(usage={"prompt_tokens": 10, "completion_tokens": 10 * (i + 1)})

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=9, teacher=PRICE)
        distill.generate(name, out=tmp_path / "run", limit=3)
    found = ahead(name, tmp_path / "run")
    assert found.requests == 6
    assert found.completion_tokens == 6 * 20  # 10, 20 and 30 so far
    assert found.expected_usd == pytest.approx(6 * (PROMPT * 2 + 20 * 1000) / 1e6)
    assert found.worst_usd == pytest.approx(6 * (BOUND * 2 + 100 * 1000) / 1e6)
    assert found.grounds == "the 3 answers so far"
    assert 0 < found.hours < 6 / 4 * 10 / 3600  # the loopback teacher's pace, not R1's
    assert ahead(name, tmp_path / "run", limit=4).requests == 1
    assert ahead(name, tmp_path / "run", limit=3).requests == 0


def test_the_worst_case_is_in_the_peak_and_the_expected_is_not(tmp_path: Path) -> None:
    peak = {"factor": 3, "weekdays_utc": [1], "hours_utc": [[0, 1]]}
    teacher = {"price": {**PRICE["price"], "cached_input": 4.0, "peak": peak}}
    found = ahead(recipe(tmp_path, nowhere(), teacher=teacher), tmp_path / "run")
    assert found.expected_usd == pytest.approx(5 * (PROMPT * 2 + 100 * 1000) / 1e6)
    assert found.worst_usd == pytest.approx(3 * 5 * (BOUND * 4 + 100 * 1000) / 1e6)


@pytest.mark.parametrize(
    ("truncated", "prompt", "answer"),
    [
        ({"retry_max_tokens": 400}, 2 * BOUND, 500),
        ({"continue_tokens": 50}, 2 * BOUND + 100, 150),
    ],
)
def test_the_worst_case_is_that_every_answer_is_cut_and_tried_again(
    truncated: dict[str, int], prompt: int, answer: int, tmp_path: Path
) -> None:
    teacher = {**PRICE, "continues": "assistant_turn"}
    found = ahead(
        recipe(tmp_path, nowhere(), truncated=truncated, teacher=teacher), tmp_path / "run"
    )
    assert found.worst_tokens == 5 * (prompt + answer)
    assert found.worst_usd == pytest.approx(5 * (prompt * 2 + answer * 1000) / 1e6)


def test_several_endpoints_share_the_time_and_the_dearest_is_the_worst(tmp_path: Path) -> None:
    server = nowhere()
    cheap = {"price": {"input": 1.0, "output": 10.0}}
    blocks = block(server, "m1", **PRICE, concurrency=3), block(server, "m2", **cheap, weight=3)
    name = recipe(tmp_path, *blocks, problems=7, sampling={"max_tokens": 100})
    found = ahead(name, tmp_path / "run")
    assert found.worst_usd == pytest.approx(7 * (BOUND * 2 + 100 * 1000) / 1e6)
    dear, low = PROMPT * 2 + 100 * 1000, PROMPT * 1 + 100 * 10
    assert found.expected_usd == pytest.approx(7 * (dear + 3 * low) / 4 / 1e6)  # by their weights
    assert found.hours == pytest.approx(7 / (3 + 4) * (100 / TOKENS_PER_S) / 3600)
    blocks = block(server, "m1", **PRICE), block(server, "m2")
    name = recipe(tmp_path, *blocks, problems=7)
    assert ahead(name, tmp_path / "run").worst_usd is None  # one is not known


# (what the first pass was, what the second is): the forecast is what the second asks
PASSES = [
    ({}, [], None),
    ({}, ["samples=3"], None),
    ({"samples": 3}, ["samples=2"], None),
    ({}, ["samples=4"], 2),
    ({}, ["sampling.max_tokens=200"], None),
    ({}, ["truncated.retry_max_tokens=400"], None),
]


@pytest.mark.parametrize(("values", "overrides", "limit"), PASSES)
def test_it_is_what_is_then_asked(
    values: dict[str, Any], overrides: list[str], limit: int | None, tmp_path: Path
) -> None:
    """Where some are answered, one is cut, one is refused and one is lost for now."""

    def answer(body: dict[str, Any], n: int) -> Any:
        text = body["messages"][-1]["content"]
        if "1 + 1" in text and body["max_tokens"] == 100:
            return completion(finish_reason="length")
        return refusal(400) if "2 + 1" in text else completion()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, **values)
        distill.generate(name, out=tmp_path / "run", limit=4)
        before = server.asked.total()
        found = ahead(name, tmp_path / "run", *overrides, limit=limit)
        distill.generate(name, out=tmp_path / "run", overrides=overrides, limit=limit)
        assert server.asked.total() - before == found.requests


UNTIL: dict[str, Any] = {"until": {"correct": 1, "at_most": 4}}
LATER = "sums.closed does not know yet what asking until enough are right, or going on, leaves open"


def test_with_a_stopping_rule_it_is_an_upper_bound(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server, **UNTIL)
        found = ahead(name, tmp_path / "run")
        assert found.requests == 20
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 1 + 4 * 4
        larger = ahead(name, tmp_path / "run", "until.at_most=6")
        assert larger.requests >= 4 * 2


def test_what_is_solved_or_refused_is_not_counted(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        refused = "3 + 1" in body["messages"][-1]["content"]
        return refusal(400) if refused else completion("\\boxed{1}")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, **UNTIL)
        distill.generate(name, out=tmp_path / "run")
    assert ahead(name, tmp_path / "run").requests == 0
    assert ahead(name, tmp_path / "run", "until.at_most=6").requests == 3 * 2


def test_what_is_still_to_be_gone_on_with_is_counted(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion(finish_reason="length")) as server:
        teacher = {"continues": "assistant_turn"}
        name = recipe(tmp_path, server, teacher=teacher)
        distill.generate(name, out=tmp_path / "run")
        overrides = ["truncated.continue_tokens=50"]
        assert ahead(name, tmp_path / "run", *overrides).requests == 5
        distill.generate(name, out=tmp_path / "run", overrides=overrides)
        assert ahead(name, tmp_path / "run", *overrides).requests == 0


@given(
    tokens=st.lists(st.integers(0, 100), min_size=4, max_size=4),
    samples=st.integers(1, 3),
    cut=st.sets(st.integers(0, 3)),
)
@settings(max_examples=15)
def test_no_run_costs_more_than_the_forecast_says_it_may(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[int], samples: int, cut: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("forecast")

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        i = int(body["messages"][-1]["content"].split()[2])
        finish = "length" if i in cut else "stop"
        factor = body["max_tokens"] // 100
        usage = {"prompt_tokens": BOUND, "completion_tokens": factor * tokens[i]}
        return completion(usage=usage, finish_reason=finish)

    with teacher_server(answer) as server:
        truncated = {"retry_max_tokens": 300}
        name = recipe(
            folder, server, problems=4, samples=samples, truncated=truncated, teacher=PRICE
        )
        found = ahead(name, folder / "run")
        assert found.worst_usd is not None
        distill.generate(name, out=folder / "run", budget_usd=found.worst_usd)  # is not reached
        assert server.asked.total() == samples * (4 + len(cut))


def said(name: str, out: Path, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    with caplog.at_level("INFO", "distill"):
        distill.generate(name, out=out, dry_run=True)
    return caplog.text


def test_a_dry_run_says_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = recipe(tmp_path, nowhere(), problems=5, samples=2, teacher=PRICE)
    text = said(name, tmp_path / "run", caplog)
    assert "would ask 10 requests, by R1's mean answer in math, at 30 tokens/s each:" in text
    assert "expected: 35 prompt and 1000 completion tokens, $1.00, 0.0 hours" in text
    assert f"at worst: {10 * (BOUND + 100)} tokens, $1.02" in text
    whole = json.loads(Path(name).read_text())
    del whole["samples"], whole["teacher"]["price"]
    Path(name).write_text(json.dumps({**whole, **UNTIL}))
    text = said(name, tmp_path / "run", caplog)
    assert "would ask 20 requests at most, by" in text
    assert len(re.findall(r"unknown \(no price\)", text)) == 2


def files(run: Path) -> dict[str, bytes]:
    """Without those by which SQLite's readers and writers keep out of each other's way."""
    found = (path for path in run.rglob("*") if not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(run)): path.read_bytes() for path in found if path.is_file()}


def test_a_dry_run_leaves_a_run_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=run, limit=2)
        before, asked = files(run), server.asked.total()
        assert "would ask 3 requests, by the 2 answers so far" in said(name, run, caplog)
        assert files(run) == before
        said(name, tmp_path / "new", caplog)
        assert not (tmp_path / "new").exists()
        assert server.asked.total() == asked
