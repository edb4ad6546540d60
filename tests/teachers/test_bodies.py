"""A body that can be read is an answer, and is bought once; one that cannot is kept."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit
from distill.ledger.salvage import repair
from distill.teachers import client, retry
from distill.teachers.wire import MalformedReply, parse
from tests.builders.faults import (
    GOOD,
    PRICE,
    answers_in,
    listen,  # noqa: F401
    recipe,
)
from tests.builders.runs import errors, ledger, traces
from tests.builders.sockets import http, raw_server
from tests.builders.teacher_server import completion

TEXT = "it is {4}, \\boxed{4}"


def told(**values: Any) -> str:
    """An answer as JSON; the text "here" stands for what a test puts in its place."""
    return json.dumps(completion(TEXT, **values))


def with_field(json_text: str) -> bytes:
    return told(extra="here").replace('"here"', json_text).encode("utf-8", "surrogatepass")


def streamed(*deltas: dict[str, Any], finish: str | None = "stop") -> bytes:
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return (": keep-alive\n\n" + "".join(lines) + "data: [DONE]\n\n").encode()


MESSAGE = {"role": "assistant", "content": TEXT}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
READABLE: dict[str, bytes] = {
    "as it should be": told().encode(),
    "1e400": with_field("1e400"),
    "-1e400": with_field("-1e400"),
    "400 digits": with_field("9" * 400),
    "5,000 digits": with_field("9" * 5_000),
    "400 digits of usage": told(usage={"prompt_tokens": 10**400}).encode(),
    "NaN and Infinity": with_field("[NaN, Infinity, -Infinity]"),
    "half an emoji": with_field(r'"\ud83d"'),
    "half an emoji in a name": with_field(r'{"\udc00": 1}'),
    "a byte order mark": b"\xef\xbb\xbf" + told().encode(),
    "UTF-16": told().encode("utf-16"),
    "UTF-16 without a mark": told().encode("utf-16-le"),
    "UTF-32": told().encode("utf-32"),
    "Latin-1": with_field('"é"').replace("é".encode(), b"\xe9"),
    "white space around": b" \r\n\t" + told().encode() + b"\r\n\r\n ",
    "nothings around": b"\0\0" + told().encode() + b"\0\0\0",
    "something behind": told().encode() + b"garbage",
    "another object behind": told().encode() + b'\n{"error": "late"}',
    "a guard before": b")]}',\n" + told().encode(),
    "in a list": b"[" + told().encode() + b"]",
    "an event": b"data: " + told().encode() + b"\n\ndata: [DONE]\n\n",
    "events": streamed({"role": "assistant", "content": "it is {4}, "}, {"content": "\\boxed{4}"}),
    "events of two answers": streamed({"content": TEXT}).replace(
        b"data: [DONE]",
        b'data: {"choices": [{"index": 1, "delta": {"content": "5"}}]}\n\ndata: [DONE]',
    ),
    "an empty word behind the word for its end": streamed({"content": TEXT}).replace(
        b"data: [DONE]", b'data: {"choices": [{"delta": {}, "finish_reason": ""}]}\n\ndata: [DONE]'
    ),
    "lines to keep it alive, then JSON": b": PROCESSING\n\n: PROCESSING\n\n" + told().encode(),
    "in a wrapper": json.dumps({"code": 0, "msg": "ok", "data": completion(TEXT)}).encode(),
    "DashScope's own": json.dumps({"output": {"choices": [CHOICE]}, "request_id": "x"}).encode(),
    "deep": with_field("[" * 2_000 + "]" * 2_000),
    "very deep": with_field('{"a":' * 100_000 + "1" + "}" * 100_000),
    "the same name twice": with_field('1, "choices": []'),
    "an empty error": told(error={}).encode(),
    "an error beside it": told(error={"message": "moderation is slow"}).encode(),
    "a delta": json.dumps({"choices": [{"delta": MESSAGE, "finish_reason": "stop"}]}).encode(),
    "a text": json.dumps({"choices": [{"text": TEXT, "finish_reason": "stop"}]}).encode(),
    "nothing, then a choice": told(choices=[None, {}, CHOICE]).encode(),
    "several choices": told(choices=[CHOICE, {**CHOICE, "message": {"content": "5"}}]).encode(),
    "usage of another kind": told(usage=[{"prompt_tokens": "many"}]).encode(),
    "cut in the usage": told().encode()[:-20],
    "cut behind the choices": told().encode().partition(b'"usage"')[0],
    "cut by one sign": told().encode()[:-1],
}


@pytest.mark.parametrize("kind", READABLE)
def test_a_body_that_can_be_read_is_an_answer_and_is_bought_once(kind: str, tmp_path: Path) -> None:
    body, run = READABLE[kind], tmp_path / "run"
    with raw_server(lambda n: [http(body)]) as server:
        assert distill.generate(recipe(tmp_path, server.url, problems=1), out=run) == Exit.DONE
        assert server.asked == 1
    assert traces(run)["response"].to_list() == [TEXT]
    assert list(answers_in(run / "ledger.sqlite")) == [body]  # verbatim


USED = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
COUNTED = {
    "in an event of its own": streamed(MESSAGE).replace(
        b"data: [DONE]",
        b"data: %b\n\ndata: [DONE]" % json.dumps({"choices": [], "usage": USED}).encode(),
    ),
    "in the choice": json.dumps({"choices": [{**CHOICE, "usage": USED}]}).encode(),
}


@pytest.mark.parametrize("where", COUNTED)
def test_the_usage_is_found_wherever_it_is(where: str) -> None:
    reply = parse(COUNTED[where])
    assert (reply.response, reply.prompt_tokens, reply.completion_tokens) == (TEXT, 9, 7)


ON_THE_WIRE: dict[str, list[bytes]] = {
    "gzip": [http(gzip.compress(told().encode()), "Content-Encoding: gzip")],
    "two gzips": [
        http(
            gzip.compress(told().encode()[:50]) + gzip.compress(told().encode()[50:]),
            "Content-Encoding: gzip",
        )
    ],
    "zlib as deflate": [http(zlib.compress(told().encode()), "Content-Encoding: deflate")],
    "bare deflate": [http(zlib.compress(told().encode())[2:-4], "Content-Encoding: deflate")],
    "no gzip, declared": [http(told().encode(), "Content-Encoding: gzip")],
    "no deflate, declared": [http(told().encode(), "Content-Encoding: deflate")],
    "no br, declared": [http(told().encode(), "Content-Encoding: br")],
    "gzip, not declared": [http(gzip.compress(told().encode()))],
    "gzip, declared as br": [http(gzip.compress(told().encode()), "Content-Encoding: br")],
    "another type": [http(told().encode()).replace(b"application/json", b"text/html")],
    "another set of letters": [
        http(told().encode()).replace(b"application/json", b"application/json; charset=utf-7")
    ],
    "shorter than said": [http(told().encode(), length=99_999)],
    "a few bytes missing": [http(told().encode()[:-3], length=len(told()))],
    "chunks without an end": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n%b\r\n" % (len(told()), told().encode()),
    ],
    "longer than said": [http(told().encode(), length=len(told()) - 5)],
    "something behind it": [http(told().encode()) + b"noise"],
    "something behind chunks": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\n\r\nnoise" % (len(told()), told().encode())
    ],
    "interim replies before, something behind": [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + http(told().encode()) + b"noise"
    ],
    "chunks, and in the same breath no chunk": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\nzz\r\n" % (len(told()), told().encode())
    ],
    "long lines before it": [http(told().encode(), f"Set-Cookie: a={'b' * 100_000}")],
    "many lines before it": [http(told().encode(), *(f"X-{i}: a" for i in range(500)))],
    "a status of nothing": [http(told().encode(), status="000 OK")],
    "accepted, not done": [http(told().encode(), status="202 Accepted")],
}


@pytest.mark.parametrize("kind", ON_THE_WIRE)
def test_whatever_its_headers_say_an_answer_is_bought_once(kind: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with raw_server(lambda n: ON_THE_WIRE[kind]) as server:
        assert distill.generate(recipe(tmp_path, server.url, problems=1), out=run) == Exit.DONE
        assert server.asked == 1
    assert traces(run)["response"].to_list() == [TEXT]


UNREADABLE: dict[str, bytes] = {
    "cut in the answer": GOOD[: GOOD.index(b"boxed")],
    "cut behind the text": GOOD[: GOOD.index(b"finish_reason")],
    "noise": bytes(range(128, 256)),
    "words": b"The answer is 4.",
    "a stream that breaks off": streamed({"content": "it is"}, finish=None),
    "a stream of one event": streamed({"content": "it is"}).partition(
        b'\n\ndata: {"choices": [{"index": 0, "delta": {}'
    )[0],
    "another API's": b'{"generated_text": "it is 4", "details": {}}',
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_body_that_cannot_be_read_is_bought_twice_at_most_and_kept(
    kind: str, tmp_path: Path
) -> None:
    run, body = tmp_path / "run", UNREADABLE[kind]
    with raw_server(lambda n: [http(body)]) as server:
        name = recipe(tmp_path, server.url, problems=2, teacher=PRICE)
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED  # and not again
        assert server.asked == 4
        assert list(answers_in(run / "ledger.sqlite")) == [body] * 4
        assert all("malformed answer" in error for error in errors(run))
        assert ledger(run, "SELECT DISTINCT state FROM requests") == ["quarantined"]
    with raw_server(lambda n: [http(GOOD)]) as well:
        name = recipe(tmp_path, well.url, problems=2, teacher={**PRICE, "known_as": "m"})
        assert distill.generate(name, out=tmp_path / "another") == Exit.DONE


@pytest.mark.parametrize("since", ["this version", "an earlier one"])
def test_what_was_kept_unread_becomes_an_answer_once_it_can_be_read(
    since: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(body: bytes) -> Any:
        reason = "not JSON"
        raise MalformedReply(reason, holds=since == "this version")

    run = tmp_path / "run"
    with raw_server(lambda n: [http(GOOD)]) as server:
        name = recipe(tmp_path, server.url, problems=2, teacher=PRICE)
        with monkeypatch.context() as before:
            before.setattr(client, "parse", unable)
            before.setattr(retry, "ATTEMPTS", 2)
            assert distill.generate(name, out=run) == Exit.ROWS_FAILED
        spent = ledger(run, "SELECT SUM(worst_usd) FROM attempts")
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked == 4
    assert traces(run)["response"].to_list() == ["\\boxed{4}"] * 2
    assert traces(run)["cost_usd"].to_list() == [None] * 2
    assert ledger(run, "SELECT SUM(worst_usd) FROM attempts") == spent
    assert repair(run, parse=parse) is None  # it is sound


@pytest.mark.parametrize("cut", range(0, len(GOOD), 7))
def test_an_answer_that_is_cut_anywhere_is_read_whole_or_not_at_all(cut: int) -> None:
    try:
        reply = parse(GOOD[:cut])
    except MalformedReply:
        assert cut < len(GOOD) - 1
    else:
        assert (reply.response, reply.finish_reason) == ("\\boxed{4}", "stop")


def test_a_body_that_means_to_keep_us_busy_is_left() -> None:
    for body in (b"[" * 10**6, b'{"a":[' + b"[]," * 2 * 10**6, b'{"' * 10**6, b'"' * 10**6):
        with pytest.raises(MalformedReply):
            parse(body)
