"""An error in a 200 is taken for what it says, costs nothing where nothing came, and is written
down; a word for a limit or a broken answer counts as what it means."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

import distill
from distill.errors import Exit, StoppedError
from distill.teachers import retry
from distill.teachers.finish import MEANING
from tests.builders.recipes import recipe
from tests.builders.runs import errors, ledger, traces
from tests.builders.teacher_server import completion, refusal, teacher_server

PRICE = {"price": {"input": 1.0, "output": 1000.0}}


def error(**values: Any) -> dict[str, Any]:
    return {"id": "gen-1", "error": values}


# bodies of a 200: each is a passing fault, what it stands for is before its words in the ledger
PASSING: dict[str, tuple[Any, str]] = {
    "OpenRouter, overloaded": (error(code=502, message="Provider returned error"), "502 Provider"),
    "OpenRouter, busy": (error(code=429, message="slow down"), "429 slow down"),
    "a number as text": (error(code="503", message="later"), "503 later"),
    "Anthropic": ({"type": "error", "error": {"type": "overloaded_error"}}, "an error in a 200"),
    "Google": ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, "429 "),
    "Gemini's list": ([{"error": {"code": 500, "message": "x"}}], "500 x"),
    "a yes": ({"error": True, "message": "server overloaded"}, "server overloaded"),
    "problem+json": ({"title": "Too Many Requests", "status": 429}, "429 Too Many"),
    "only words": ({"error": "Rate limit exceeded"}, "429 Rate limit"),
    "words of no kind": ({"error": "the hamster is asleep"}, "the hamster is asleep"),
    "vLLM's old form": ({"object": "error", "message": "engine dead", "code": 500}, "500 engine"),
    "FastAPI": ({"detail": "Internal Server Error"}, "Internal Server Error"),
    "Cloudflare": ({"success": False, "errors": [{"code": 524, "message": "late"}]}, "524 late"),
    "MiniMax": ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "429 rate limit"),
    "Baidu": ({"error_code": 18, "error_msg": "Open api qps too many requests"}, "429 Open api"),
    "Zhipu": ({"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, "429 您的"),
    "with empty choices": ({"choices": [], "error": {"code": 502, "message": "x"}}, "502 x"),
    "with a usage of zeros": (
        {"error": {"message": "x"}, "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
        "an error in a 200: x",
    ),
    "in the choice": (
        {"choices": [{"error": {"code": 502, "message": "gone"}, "finish_reason": "error"}]},
        "502 gone",
    ),
    "what the provider said": (
        error(code=503, message="Provider returned error", metadata={"raw": "no GPU left"}),
        "no GPU left",
    ),
    "a broken end without a text": (
        {"choices": [{"message": {"content": ""}, "finish_reason": "error"}]},
        "error",
    ),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_error_is_tried_again_costs_nothing_and_is_written_down(
    name: str, tmp_path: Path
) -> None:
    said, reason = PASSING[name]
    run = tmp_path / "run"

    def answer(body: dict[str, Any], n: int) -> Any:
        return web.json_response(said) if n == 1 else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=2, teacher=PRICE)
        assert distill.generate(path, out=run, budget_usd=1) == Exit.DONE
        assert server.asked.total() == 4
    assert [reason in text for text in errors(run)] == [True, True], errors(run)
    assert ledger(run, "SELECT SUM(worst_usd) FROM attempts WHERE error IS NOT NULL") == [0]
    bodies = "SELECT COUNT(*) FROM attempts JOIN answers USING (attempt) WHERE error IS NOT NULL"
    assert ledger(run, bodies) == [2]


@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html>\n<title>Hi</title>", "\n <HTML>busy", "<?xml?><E/>"]
)
def test_a_web_page_costs_nothing(page: str, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def answer(body: dict[str, Any], n: int) -> Any:
        return web.Response(text=page, content_type="text/html") if n == 1 else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=2, teacher=PRICE)
        assert distill.generate(path, out=run, budget_usd=1) == Exit.DONE
    assert ledger(run, "SELECT SUM(worst_usd) FROM attempts WHERE error IS NOT NULL") == [0]


FINAL: dict[str, dict[str, Any]] = {
    "a number": error(code=400, message="the prompt is too long"),
    "OpenAI's type": error(type="invalid_request_error", message="no"),
    "OpenAI's code": error(code="context_length_exceeded", message="no"),
    "Google's status": error(code=None, status="INVALID_ARGUMENT", message="no"),
    "words": {"error": "This model's maximum context length is 8192 tokens"},
    "unprocessable": {"detail": [{"msg": "bad field"}], "code": 422},
}


@pytest.mark.parametrize("name", FINAL)
def test_an_error_about_the_request_is_final_for_that_row(name: str, tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return FINAL[name] if "is 0" in body["messages"][-1]["content"] else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=3, teacher=PRICE)
        assert distill.generate(path, out=tmp_path / "run", budget_usd=1) == Exit.ROWS_FAILED
        assert distill.generate(path, out=tmp_path / "run", budget_usd=1) == Exit.ROWS_FAILED
        assert server.asked.total() == 3
    assert ledger(tmp_path / "run", "SELECT SUM(worst_usd) FROM attempts WHERE error > ''") == [0]


EVERYBODY: dict[str, dict[str, Any]] = {
    "401": error(code=401, message="No auth credentials found"),
    "402": error(code=402, message="Insufficient credits"),
    "403": error(type="permission_error", message="no"),
    "404": error(code="model_not_found", message="no"),
    "quota": error(code="insufficient_quota", message="You exceeded your current quota"),
}


@pytest.mark.parametrize("name", EVERYBODY)
def test_an_error_about_everybody_ends_the_run_at_once(name: str, tmp_path: Path) -> None:
    with teacher_server(lambda body, n: EVERYBODY[name]) as server:
        path = recipe(tmp_path, server, problems=40)
        with pytest.raises(StoppedError, match=r"refuses every request: 40\d .*in a 200"):
            distill.generate(path, out=tmp_path / "run")
        assert server.asked.total() <= 4


def test_a_routers_401_after_answers_is_tried_again(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        first = "is 0" in body["messages"][-1]["content"]
        return EVERYBODY["401"] if n == 1 and not first else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=3, teacher={"concurrency": 1})
        assert distill.generate(path, out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 5


def test_an_error_behind_a_text_that_was_paid_for_counts_as_paid(tmp_path: Path) -> None:
    broken = completion("The sum", finish_reason="error", error={"code": 502, "message": "gone"})
    run = tmp_path / "run"
    with teacher_server(lambda body, n: broken if n == 1 else completion()) as server:
        path = recipe(tmp_path, server, problems=1, teacher=PRICE)
        assert distill.generate(path, out=run, budget_usd=1) == Exit.DONE
        assert server.asked.total() == 2
    (paid,) = ledger(run, "SELECT worst_usd FROM attempts WHERE error IS NOT NULL")
    assert paid > 0.1  # 100 tokens at 1,000 USD a million


def test_what_is_paid_for_and_would_be_refused_again_is_bought_twice_at_most(
    tmp_path: Path,
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    with teacher_server(lambda body, n: {**error(code=400), "usage": usage}) as server:
        path = recipe(tmp_path, server, problems=1)
        assert distill.generate(path, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked.total() == 2


OTHER_APIS: list[dict[str, Any]] = [
    {"type": "message", "content": [{"type": "text", "text": "4"}], "stop_reason": "end_turn"},
    {"message": {"role": "assistant", "content": "4"}, "done": True},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}},
]


@pytest.mark.parametrize("body", OTHER_APIS)
def test_what_was_paid_for_and_is_no_completion_is_bought_twice_at_most(
    body: dict[str, Any], tmp_path: Path
) -> None:
    with teacher_server(lambda asked, n: body) as server:
        path = recipe(tmp_path, server, problems=1)
        assert distill.generate(path, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked.total() == 2


def test_an_error_in_the_middle_of_a_stream_is_tried_again(tmp_path: Path) -> None:
    events = [
        {"choices": [{"delta": {"content": "The "}}]},
        {
            "error": {"code": "server_error", "message": "Provider disconnected"},
            "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
        },
    ]
    text = "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events)

    def answer(body: dict[str, Any], n: int) -> Any:
        broken = web.Response(text=text, content_type="text/event-stream")
        return broken if n < 4 else completion()

    with teacher_server(answer) as server:
        assert distill.generate(recipe(tmp_path, server), out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 20
    assert all("Provider disconnected" in said for said in errors(tmp_path / "run"))


@pytest.mark.parametrize("word", ["error", "abort", "network_error"])
def test_a_broken_answer_is_not_final_after_one_try(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    run = tmp_path / "run"
    with teacher_server(lambda body, n: completion("so", finish_reason=word)) as server:
        path = recipe(tmp_path, server, problems=1)
        assert distill.generate(path, out=run) == Exit.ROWS_FAILED
        assert server.asked.total() == 2
        server.answer = lambda body, n: completion()
        assert distill.generate(path, out=run) == Exit.DONE
        assert server.asked.total() == 3
    assert errors(run) == [f"the answer broke off: finish_reason {word!r}"] * 2


def test_a_limit_in_a_vendors_word_is_a_cut_answer(tmp_path: Path) -> None:
    cut = {"choices": [{"finish_reason": "MAX_TOKENS", "index": 0}], "usage": {}}
    run = tmp_path / "run"
    with teacher_server(lambda body, n: cut) as server:
        path = recipe(tmp_path, server, truncated={"retry_max_tokens": 200})
        assert distill.generate(path, out=run) == Exit.DONE
        assert [body["max_tokens"] for body in server.bodies].count(200) == 5
        assert server.asked.total() == 10  # once, and once more with the larger limit
        assert distill.generate(path, out=run) == Exit.DONE
        assert server.asked.total() == 10
    assert set(traces(run)["finish_reason"]) == {"length"}


def test_a_word_that_an_earlier_version_did_not_know_costs_no_second_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with teacher_server(lambda body, n: completion("so", finish_reason="full")) as server:
        path = recipe(tmp_path, server, problems=2)
        assert distill.generate(path, out=run) == Exit.ROWS_FAILED
        monkeypatch.setitem(MEANING, "full", "length")
        assert distill.generate(path, out=run) == Exit.DONE
        assert server.asked.total() == 2
    assert traces(run)["finish_reason"].to_list() == ["length"] * 2
    assert traces(run)["completion_tokens"].to_list() == [20] * 2


# what an empty account says, in whatever status: nothing that follows can succeed
EMPTY: dict[str, tuple[int, dict[str, Any]]] = {
    "OpenAI": (429, error(code="insufficient_quota", message="You exceeded your current quota")),
    "OpenAI, a limit": (429, error(code="billing_hard_limit_reached", message="Hard limit")),
    "LiteLLM": (429, error(type="insufficient_quota", code="429", message="litellm: You")),
    "Moonshot": (429, error(type="exceeded_current_quota_error", message="suspended")),
    "Zhipu": (429, error(code="1113", message="您的账户已欠费")),
    "xAI": (429, {"code": "exhausted", "error": "Your team has used all available credits."}),
    "DashScope": (400, error(code="Arrearage", message="Access denied")),
    "Anthropic": (
        400,
        error(type="invalid_request_error", message="Your credit balance is too low to access"),
    ),
    "new-api": (403, error(code="insufficient_user_quota", message="no")),
    "SiliconFlow": (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}),
    "Volcengine": (403, error(code="AccountOverdueError", message="no")),
    "LiteLLM's budget": (400, error(type="budget_exceeded", code="400", message="no")),
    "Fireworks": (412, {"error": "Account suspended: reached the monthly spending limit"}),
    "DeepSeek": (402, error(message="Insufficient Balance")),
    "MiniMax": (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    "OpenAI's in a 200": (200, error(code=429, type="insufficient_quota", message="quota")),
}


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_account_ends_the_run_at_once_and_it_goes_on_with_credit(
    name: str, answered: bool, tmp_path: Path
) -> None:
    status, body = EMPTY[name]

    def answer(asked: dict[str, Any], n: int) -> Any:
        first = answered and "is 0" in asked["messages"][-1]["content"]
        return completion() if first else web.json_response(body, status=status)

    run = tmp_path / "run"
    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=6, teacher={**PRICE, "concurrency": 1})
        with pytest.raises(StoppedError, match=r"refuses every request: 4\d\d .*add credit"):
            distill.generate(path, out=run)
        assert server.asked.total() == 1 + answered
        server.answer = lambda asked, n: completion()
        assert distill.generate(path, out=run) == Exit.DONE
        assert server.asked.total() == 7
    assert ledger(run, "SELECT SUM(worst_usd) FROM attempts WHERE error IS NOT NULL") == [0]


# the same words, where they mean something that passes
LIMITED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "Gemini's limit a minute": (
        "gemini",
        429,
        error(
            code=429,
            message="You exceeded your current quota, please check your plan and billing details.",
            status="RESOURCE_EXHAUSTED",
        ),
    ),
    "Alibaba's limit a minute": (
        "qwen-max",
        429,
        error(code="insufficient_quota", message="You exceeded your current quota"),
    ),
    "Groq's": (
        "m",
        429,
        error(code="rate_limit_exceeded", message="Upgrade at https://console/settings/billing"),
    ),
    "OpenRouter's day": ("m", 429, error(code=429, message="free-models-per-day. Add 10 credits")),
    "a limit": ("m", 429, error(code="rate_limit_exceeded", message="Rate limit reached")),
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_for_a_minute_is_waited_out(name: str, tmp_path: Path) -> None:
    model, status, body = LIMITED[name]

    def answer(asked: dict[str, Any], n: int) -> Any:
        return web.json_response(body, status=status) if n == 1 else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=2, teacher={"model": model})
        assert distill.generate(path, out=tmp_path / "run") == Exit.DONE


def test_a_refusal_that_repeats_a_prompt_about_money_is_that_rows(tmp_path: Path) -> None:
    def answer(asked: dict[str, Any], n: int) -> Any:
        said = "cannot read 'He has insufficient funds and is out of credits'"
        first = "is 0" in asked["messages"][-1]["content"]
        return refusal(400, said) if first else completion()

    with teacher_server(answer) as server:
        path = recipe(tmp_path, server, problems=3)
        assert distill.generate(path, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked.total() == 3


SENT = "no key was sent; set teacher.key_env"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_was_not_sent_is_said(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TEACHER_KEY", "a-key-that-is-sent")
    with teacher_server(lambda body, n: refusal(status, "invalid key")) as server:
        with pytest.raises(StoppedError, match=SENT):
            distill.generate(recipe(tmp_path, server), out=tmp_path / "run")
        named = recipe(tmp_path, server, teacher={"key_env": "TEST_TEACHER_KEY"})
        with pytest.raises(StoppedError) as caught:
            distill.generate(named, out=tmp_path / "other")
    assert SENT not in str(caught.value)
    assert "invalid key" in str(caught.value)


@pytest.mark.parametrize(
    "said", [refusal(400, "API key not valid. Please pass a valid API key."), EVERYBODY["401"]]
)
def test_so_it_is_where_the_status_says_something_else(said: Any, tmp_path: Path) -> None:
    body = said if isinstance(said, dict) else orjson.loads(said.body)
    status = 200 if isinstance(said, dict) else said.status
    with teacher_server(lambda b, n: web.json_response(body, status=status)) as server:
        path = recipe(tmp_path, server, problems=30)
        with pytest.raises(StoppedError, match=SENT):
            distill.generate(path, out=tmp_path / "run")
