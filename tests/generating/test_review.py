"""What a second look found: asked twice, called damage, billed without being sent, said wrongly."""

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import distill
from distill.errors import StoppedError, UserError
from distill.generating.reach import who_answers
from distill.ledger import Ledger, schema
from distill.ledger.explain import translate_sqlite_errors
from distill.ledger.salvage import repair
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Address, Teacher
from distill.teachers.client import connect, send
from distill.teachers.endpoint import Endpoint
from distill.teachers.wire import parse
from tests.builders.recipes import nowhere, recipe
from tests.builders.runs import ahead, traces
from tests.builders.teacher_server import completion, refusal, teacher_server

ON: dict[str, Any] = {"extra_body": {"thinking": {"type": "enabled"}}}
OFF: dict[str, Any] = {"extra_body": {"thinking": {"type": "disabled"}}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_MS", 20)


# --- an endpoint's own switches are part of the plan ---


def who(folder: Path, **teacher: Any) -> str:
    return who_answers(load(recipe(folder, nowhere(), teacher=teacher), PromptsRecipe))


def test_answers_with_and_without_thinking_are_not_mixed(tmp_path: Path) -> None:
    with teacher_server() as server:
        distill.generate(recipe(tmp_path, server, teacher=ON), out=tmp_path / "run")
        with pytest.raises(UserError, match=r"another plan: who changed .*disabled"):
            distill.generate(recipe(tmp_path, server, teacher=OFF), out=tmp_path / "run")
        assert server.asked.total() == 5


def test_switches_are_part_of_who_answers_unless_it_is_known_as_something(tmp_path: Path) -> None:
    assert who(tmp_path) == "http://127.0.0.1:9/v1 m"
    assert who(tmp_path, **ON) == 'http://127.0.0.1:9/v1 m {"thinking":{"type":"enabled"}}'
    assert who(tmp_path, **OFF, known_as="r") == who(tmp_path, **ON, known_as="r") == "r"
    one, two = {"top_k": 1, "min_p": 0.2}, {"min_p": 0.2, "top_k": 1}
    assert who(tmp_path, extra_body=one) == who(tmp_path, extra_body=two)


# --- what is exported and counted is what is wanted ---


def test_fewer_samples_and_problems_are_exported_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with teacher_server(lambda body, n: completion(finish_reason="length")) as server:
        name = recipe(tmp_path, server, samples=3)
        distill.generate(name, out=run)
        distill.generate(name, out=run, overrides=["samples=2"], limit=4)
        assert traces(run)["sample"].to_list() == [0, 1] * 4
        distill.status(run)
        lines = [line.split() for line in capsys.readouterr().out.replace("│", " ").splitlines()]
        assert ["answered", "8"] in lines
        assert ["cut", "at", "the", "limit", "8"] in lines
        distill.generate(name, out=run)
        assert traces(run).height == 15
        assert server.asked.total() == 15  # the others were kept


def test_fewer_answers_of_a_trace_make_no_two_rows_of_one_name(tmp_path: Path) -> None:
    with teacher_server() as server:
        distill.generate(recipe(tmp_path, server, samples=2), out=tmp_path / "first")
        name = recipe(tmp_path, server, samples=2, becomes="response")
        whole = {**json.loads(Path(name).read_text()), "problems": {"traces": "first"}}
        Path(name).write_text(json.dumps(whole))
        distill.generate(name, out=tmp_path / "second")
        assert traces(tmp_path / "second").height == 20
        distill.generate(name, out=tmp_path / "second", overrides=["samples=1"])
    found = traces(tmp_path / "second").select("id", "sample")
    assert found.height == found.n_unique() == 10


def test_only_wanted_answers_are_checked(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server, samples=3)
        distill.generate(name, out=tmp_path / "run")
        whole = {**json.loads(Path(name).read_text()), "until": {"correct": 1, "at_most": 2}}
        del whole["samples"]
        Path(name).write_text(json.dumps(whole))
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 15
    with closing(sqlite3.connect(tmp_path / "run/ledger.sqlite")) as db:
        found = db.execute("SELECT DISTINCT sample, verdict IS NULL FROM requests ORDER BY 1")
        assert found.fetchall() == [(0, 0), (1, 0), (2, 1)]


# --- a ledger that another program has open is not damaged ---


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program, which lets nobody else read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("UPDATE meta SET value = value")
        db.execute("COMMIT")
        yield


def test_a_ledger_that_is_open_elsewhere_is_neither_damaged_nor_repaired(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=run)
        with held(run / "ledger.sqlite"):
            with pytest.raises(UserError, match="another program has it open") as said:
                repair(run, parse=parse)
            assert "repair" not in str(said.value)
            commands: tuple[Callable[[], object], ...] = (
                lambda: distill.status(run),
                lambda: distill.generate(name, out=run),
            )
            for command in commands:
                with pytest.raises(UserError, match="another program has it open") as said:
                    command()
                assert "repair" not in str(said.value)
        assert not list(run.glob("*damaged*"))
        assert repair(run, parse=parse) is None
        distill.generate(name, out=run)
        assert server.asked.total() == 5


def test_a_ledger_that_is_being_written_to_is_not_damaged(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        path = tmp_path / "run/ledger.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            with pytest.raises(UserError, match=r"another program has it open.*nothing is lost"):
                distill.generate(name, out=tmp_path / "run")


def test_what_may_not_be_opened_or_written_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "run/ledger.sqlite").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be opened") as said:
        Ledger(tmp_path / "run/ledger.sqlite")
    assert "repair" not in str(said.value)
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    with (
        closing(schema.connect(path, read_only=True)) as db,
        pytest.raises(UserError, match="cannot be opened"),
        translate_sqlite_errors(path),
    ):
        db.execute("DELETE FROM meta")


def test_a_ledger_that_is_refused_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.set_meta("version", 99)
    ledger.close()
    with pytest.raises(UserError, match="another version") as said:
        Ledger(path)
    assert not path.with_name("ledger.sqlite-wal").exists(), said.value


# --- an address that nothing can be sent to ---

NO_ADDRESS = [
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:0/v1",
    "http://127.0.0.1:x/v1",
    "http://127.0.0.1:80 80/v1",
    "http://exa mple/v1",
    "http://exa%20mple/v1",
    "http://host/v1 ",
    "http://ho\nst/v1",
    "http://host/v\x001",
    "http://[::1/v1",
    "http:///v1",
    "http://a..b/v1",
    "http://.a/v1",
    f"http://{'a' * 64}.com/v1",
    f"http://{'.'.join(['a' * 60] * 5)}/v1",
]
ADDRESSES = [
    "http://127.0.0.1:8000/v1",
    "http://[::1]:8000/v1",
    "https://api.x.com",
    "http://api.x.com./v1",
    "http://vllm_server:8000/v1",
    "http://bücher.de/v1",
    f"http://{'a' * 63}.com:65535/v1",
]


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_an_address_that_nothing_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Address).validate_python(url)


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_somebody_may_have_is_taken(url: str) -> None:
    assert TypeAdapter(Address).validate_python(url) == url


def endpoint(url: str, **values: Any) -> Endpoint:
    return Endpoint(base_url=url, model="m", concurrency=1, timeout_s=5, **values)


async def _once(one: Endpoint) -> object:
    async with connect(one) as line:
        return await send(line, {"model": "m", "messages": []})


@pytest.mark.parametrize("url", ["http://127.0.0.1:80 80/v1", f"http://{'a' * 70}.com/v1"])
def test_what_was_never_sent_ends_the_run_and_is_not_billed(url: str) -> None:
    with pytest.raises(StoppedError, match="no request can be sent to") as said:
        asyncio.run(_once(endpoint(url)))
    assert said.value.status == 0


@pytest.mark.parametrize("bad", ["\n", "\r", "\x01", "\x7f", "\x85", "ключ", "\udc80"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MY_KEY", f"canary{bad}canary")
    with pytest.raises(UserError, match="MY_KEY holds no API key") as said:
        asyncio.run(_once(endpoint("http://127.0.0.1:9/v1", key_env="MY_KEY")))
    assert "canary" not in str(said.value)


# --- a question that changed, and changed back ---


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "set.jsonl"
    path.write_text(path.read_text().replace(old, new))


def identified(folder: Path, name: str) -> None:
    """Gives the problems ids of their own, so that a change of text does not change them."""
    lines = [json.loads(line) for line in (folder / "set.jsonl").read_text().splitlines()]
    rows = (json.dumps({**line, "id": f"q{i}"}) for i, line in enumerate(lines))
    (folder / "set.jsonl").write_text("\n".join(rows))
    whole = json.loads(Path(name).read_text())
    whole["problems"]["map"] = {"id": "id", "question": "question", "gold": "answer"}
    Path(name).write_text(json.dumps(whole))


def test_a_question_that_is_changed_back_is_not_asked_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server, samples=2)
        identified(tmp_path, name)
        distill.generate(name, out=run)
        before = traces(run)
        for old, new, asked in (("What is 3", "Say 3", 2), ("Say 3", "What is 3", 0)):
            change(tmp_path, old, new)
            count = server.asked.total()
            assert ahead(name, run).requests == asked
            distill.generate(name, out=run)
            assert server.asked.total() - count == asked
    assert traces(run).equals(before)


def test_a_dry_run_counts_another_gold_as_unchecked(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server, problems=1, until={"correct": 1, "at_most": 3})
        identified(tmp_path, name)
        distill.generate(name, out=tmp_path / "run")
        assert ahead(name, tmp_path / "run").requests == 0
        change(tmp_path, '"answer": "1"', '"answer": "2"')
        assert ahead(name, tmp_path / "run").requests == 2
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 3


# --- a dry run says what the run does ---


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
        scores = tmp_path / "scores"
        with pytest.raises(UserError, match="another plan: sampling changed"):
            distill.eval(name, model=model, out=scores, dry_run=True, overrides=hot)


def test_until_makes_what_is_expected_an_upper_bound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = recipe(tmp_path, nowhere(), until={"correct": 1, "at_most": 4})
    text = dry(name, tmp_path / "run", caplog)
    assert "would ask 20 requests at most" in text
    assert "expected at most: " in text


# --- what --set takes out of a recipe ---


def teacher(folder: Path, *overrides: str) -> Teacher:
    said = {**ON, "known_as": "r", "continues": "assistant_turn", "ignores": ["seed"]}
    name = recipe(folder, nowhere(), teacher={**said, "limit_name": "max_completion_tokens"})
    found = load(name, PromptsRecipe, overrides).recipe.teacher
    assert found is not None
    return found


def test_another_model_or_preset_is_not_known_as_the_one_before(tmp_path: Path) -> None:
    assert teacher(tmp_path).known_as == "r"
    assert teacher(tmp_path, "teacher.model=x").known_as is None
    assert teacher(tmp_path, "teacher.at=vllm").known_as is None
    assert teacher(tmp_path, "teacher.base_url=http://h/v1").known_as == "r"
    assert teacher(tmp_path, "teacher.model=x", "teacher.known_as=s").known_as == "s"


def test_another_address_gets_no_switches_of_the_one_before(tmp_path: Path) -> None:
    found = teacher(tmp_path, "teacher.base_url=http://h/v1")
    assert (found.extra_body, found.continues, found.ignores) == ({}, None, ())
    assert found.limit_name == "max_tokens"
    mine = teacher(tmp_path, "teacher.extra_body.top_k=1", "teacher.base_url=http://h/v1")
    assert mine.extra_body == {"top_k": 1}


@pytest.mark.parametrize("override", ["until=null", "serve=null", "problems.dataset=null"])
def test_null_chooses_nothing(tmp_path: Path, override: str) -> None:
    name = recipe(tmp_path, nowhere(), samples=3)
    whole = json.loads(Path(name).read_text())
    whole["problems"] |= {"where": "question <> 'x'", "map": {"gold": "answer"}}
    Path(name).write_text(json.dumps(whole))
    assert load(name, PromptsRecipe, [override]).recipe == load(name, PromptsRecipe).recipe
    assert load(name, PromptsRecipe, [override]).recipe.samples == 3


# --- what is said, and what is left behind ---


def test_only_settings_that_the_recipe_makes_are_said_to_be_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of = {"ignores": ["temperature", "top_p"]}
    name = recipe(tmp_path, nowhere(), teacher=of)
    assert "does not follow it" not in dry(name, tmp_path / "run", caplog)
    name = recipe(tmp_path, nowhere(), teacher=of, sampling={"temperature": 1.0})
    assert "takes temperature and does not follow it" in dry(name, tmp_path / "run", caplog)


def test_a_set_that_is_not_taken_leaves_the_list_of_the_one_before(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        path = tmp_path / "set.jsonl"
        path.write_text(path.read_text() + '\n{"question": "first?", "answer": ""}')
        distill.generate(name, out=run)
        before = (run / "left_out.jsonl").read_bytes()
        assert b"no_gold" in before
        path.write_text('{"question": "", "answer": "1"}')
        with pytest.raises(UserError, match="no usable problem"):
            distill.generate(name, out=run)
        assert (run / "left_out.jsonl").read_bytes() == before
        path.write_text('{"question": "one?", "answer": "1"}')
        distill.generate(name, out=run)
    assert {one.name for one in run.iterdir()} == {".lock", "ledger.sqlite", "traces"}
