"""A dry run says what the run does."""

import logging
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import UserError
from tests.builders.recipes import nowhere, recipe
from tests.builders.teacher_server import completion, refusal, teacher_server


def dry(name: str, out: Path, caplog: pytest.LogCaptureFixture, **values: Any) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "distill"):
        distill.generate(name, out=out, dry_run=True, **values)
    return caplog.text


def test_a_forced_dry_run_counts_what_was_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        text = body["messages"][-1]["content"]
        return refusal(400) if "is 1" in text or "is 2" in text else completion()

    run = tmp_path / "run"
    with teacher_server(answer) as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=run)
        assert "would ask 0 requests" in dry(name, run, caplog)
        assert "would ask 2 requests" in dry(name, run, caplog, force=True)
        distill.generate(name, out=run, force=True)
        assert server.asked.total() == 7


def test_a_dry_run_in_a_folder_of_another_plan_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=run)
        hot = ["sampling.temperature=1"]
        with pytest.raises(UserError, match="another plan: sampling changed"):
            dry(name, run, caplog, overrides=hot)
        assert "would ask 5 requests" in dry(name, run, caplog, overrides=hot, force=True)
        model = f"{server.url}#m"
        distill.eval(name, model=model, out=tmp_path / "scores")
        with pytest.raises(UserError, match="another plan: sampling changed"):
            distill.eval(name, model=model, out=tmp_path / "scores", dry_run=True, overrides=hot)


def test_until_makes_what_is_expected_an_upper_bound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = recipe(tmp_path, nowhere(), until={"correct": 1, "at_most": 4})
    text = dry(name, tmp_path / "run", caplog)
    assert "would ask 20 requests at most" in text
    assert "expected at most: " in text


def test_only_settings_that_the_recipe_makes_are_said_to_be_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of = {"ignores": ["temperature", "top_p"]}
    name = recipe(tmp_path, nowhere(), teacher=of)
    assert "does not follow it" not in dry(name, tmp_path / "run", caplog)
    name = recipe(tmp_path, nowhere(), teacher=of, sampling={"temperature": 1.0})
    assert "takes temperature and does not follow it" in dry(name, tmp_path / "run", caplog)
