"""Sends one chat request once and says how it ended. Does not retry (``retry``) or store anything.

aiohttp's connection and orjson, with the openai SDK's request types and error classes: the SDK's
own client costs six times the CPU (``bench/generate.py``). Redirects and proxies from the
environment are not followed, and the whole request has one deadline: a timeout per read is defeated
by keep-alive bytes.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from distill.errors import StoppedError, UserError
from distill.teachers import refusal, tls
from distill.teachers.endpoint import Endpoint
from distill.teachers.finish import is_broken
from distill.teachers.wire import MalformedReply, Reply, parse

if TYPE_CHECKING:
    from distill.teachers.body import Incoming
    from distill.teachers.connection import Route

NO_KEY = ""
# A shorter key is a placeholder for a server that wants none (EMPTY, none, token-abc123). Blanking
# it out of answers would change them.
SECRET_CHARS = 16


class RowRefused(Exception):
    """The endpoint will never answer this request; ``status`` is its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Transient(Exception):
    """No answer this time; ``retry_after_s`` is what the server asked for, if it did.

    ``billed`` says whether the teacher may have charged for it: it answered, or did not clearly
    refuse.
    ``body`` is what a 200 carried, to be kept: it may have been paid for. ``holds`` says that there
    may be an answer in it that we cannot read.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int,
        billed: bool,
        retry_after_s: float | None = None,
        body: bytes | None = None,
        holds: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.holds = holds
        self.retry_after_s = retry_after_s
        self.billed = billed
        self.body = body


@dataclass(slots=True)
class Heard:
    """What is known of the server."""

    http: bool = False  # it has answered in HTTP
    answer: bool = False  # it has answered a question
    tls: bool | None = None  # it wants TLS, where the address says http://; None: not known


@dataclass(frozen=True, slots=True)
class Client:
    """What is needed to send requests to one endpoint."""

    endpoint: Endpoint
    url: str
    rest_url: str  # for the rest of an answer that was cut
    key: str  # in memory only; NO_KEY where the endpoint wants none
    route: "Route"
    heard: Heard = field(default_factory=Heard)
    heads: dict[str, bytes] = field(default_factory=dict)  # of requests, by URL; they hold the key

    def __repr__(self) -> str:
        return f"Client({self.url})"


def client_of(endpoint: Endpoint) -> Client:
    """A client; the key is read from the environment here and only here.

    Raises:
        UserError: the variable that should hold the key is not set, or holds none.
    """
    from distill.teachers.connection import Route

    key = NO_KEY if endpoint.key_env is None else _key(endpoint.key_env)
    url = endpoint.url
    return Client(endpoint, url, endpoint.rest_url, key, Route(url, tls.trust_of(url)))


def _key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key:
        msg = f"the environment variable {name} is not set; put the API key in it"
        raise UserError(msg)
    # headers hold latin-1 only, and a line break would begin another header
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or ord(c) > 0xFF for c in key):
        msg = (
            f"the environment variable {name} holds no API key: there are line breaks, control "
            "characters or foreign letters in it; put the key in it again"
        )
        raise UserError(msg)
    return key


async def send(
    client: Client, body: Mapping[str, object], *, rest: bool = False
) -> tuple[Reply, bytes]:
    """The reply to one request and the raw body it came in.

    ``body`` has the keys of the SDK's ``CompletionCreateParams``, and the endpoint's own switches;
    ``rest`` says that it asks for the rest of an answer that was cut.

    Raises:
        StoppedError: 401, 402, 403, 404, a redirect, an address that nothing can be sent to, a
            certificate that cannot be trusted, TLS on one side only.
        RowRefused: 400, 413, 422, or a text that is not Unicode.
        Transient: every other status, a broken connection, the deadline, a malformed body.
    """
    from distill.teachers.body import Incoming, TooLarge

    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise RowRefused(0, f"cannot be sent: {error}") from None
    url, come = client.rest_url if rest else client.url, Incoming()
    failure = await _exchange(client, url, data, come)
    try:
        if isinstance(failure, TooLarge):
            raise failure
        answer = _without_key(client, come)
    except TooLarge as error:
        raise Transient(str(error), status=come.status or 0, billed=come.asked) from None
    if come.status is None:
        assert failure is not None, "a response has a status"
        raise await _unanswered(client, url, failure, left=come.asked) from None
    client.heard.http = True
    if come.status >= 300:
        if url.startswith("http:") and tls.said_in_clear(answer):
            raise StoppedError(tls.wants_tls(url), status=0)
        said = refusal.server_said(come.status, answer)
        if refusal.no_money(come.status, answer, client.endpoint.name):
            raise _stopped(refusal.NO_CREDIT, f"{come.status} {said}; {refusal.ADD_CREDIT}")
        raise _refused(client, come.status, come.retry_after, said)
    if not come.asked:
        # it answers nothing: kept, it would be read again and become an answer
        reason = "an answer before the request was sent"
        raise Transient(reason, status=come.status, billed=False)
    broken = None if failure is None else _reason(failure, client.endpoint.timeout_s)
    return _reply(client, come, answer, broken), answer


async def _exchange(client: Client, url: str, data: bytes, come: "Incoming") -> Exception | None:
    """Sends a request and reads what comes into ``come``; gives what went wrong."""
    import aiohttp
    from aiohttp.http import HttpProcessingError

    from distill.teachers.body import TooLarge
    from distill.teachers.connection import NoAddress, NotConnected

    try:
        async with asyncio.timeout(client.endpoint.timeout_s):
            reply = await client.route.open()
            try:
                reply.send(b"%b%d\r\n\r\n%b" % (_head(client, url), len(data), data))
                await come.read(reply)
                client.route.answered = True
            finally:
                come.asked = reply.left
                reply.abort()
    except (
        aiohttp.ClientError,
        HttpProcessingError,
        OSError,
        NoAddress,
        NotConnected,
        TooLarge,
    ) as error:  # TimeoutError is an OSError
        return error
    return None


def _head(client: Client, url: str) -> bytes:
    if url not in client.heads:
        from distill.teachers.connection import request_head

        client.heads[url] = request_head(url, client.key)
    return client.heads[url]


def _without_key(client: Client, come: "Incoming") -> bytes:
    """The body; without the key, should the server repeat it. Else it is kept verbatim."""
    answer = come.body()
    if client.key != NO_KEY and (come.status != 200 or len(client.key) >= SECRET_CHARS):
        return answer.replace(client.key.encode(), b"***")
    return answer


async def _unanswered(client: Client, url: str, error: Exception, *, left: bool) -> Exception:
    """The error to raise where no response came. What never left cannot have been billed."""
    from distill.teachers.connection import NoAddress

    if isinstance(error, NoAddress):
        return StoppedError(f"no request can be sent to {url}; correct base_url", status=0)
    text = tls.handshake_failed(error.__cause__, url, connected=left)
    if text is None and left and url.startswith("http:") and not client.heard.http:
        if client.heard.tls is None:
            client.heard.tls = await tls.speaks_tls(url)
        text = tls.wants_tls(url) if client.heard.tls else None
    if text is not None:
        return StoppedError(text, status=0)
    return Transient(_reason(error, client.endpoint.timeout_s), status=0, billed=left)


def _reason(error: Exception, timeout_s: float) -> str:
    """What is written down of an error; its repr() can hold the key: never shown."""
    from aiohttp.http import HttpProcessingError

    from distill.teachers.connection import NotConnected

    if isinstance(error, NotConnected):
        return f"no connection ({error})"
    if isinstance(error, TimeoutError):
        return f"no whole answer within {timeout_s:g} s"
    # by the name that it has had in ledgers
    no_http = isinstance(error, HttpProcessingError)
    return f"connection broken ({'ClientResponseError' if no_http else type(error).__name__})"


def _reply(client: Client, come: "Incoming", body: bytes, broken: str | None) -> Reply:
    """The reply in what has come, also where the end of it is missing.

    Raises:
        Transient, RowRefused, StoppedError: there is none.
    """
    assert come.status is not None, "a response has a status"
    try:
        reply = parse(body)
    except MalformedReply as error:
        if broken is not None:
            kept = body if body.strip() else None
            holds = error.holds and kept is not None
            raise Transient(broken, status=0, billed=True, body=kept, holds=holds) from None
        if come.status != 200:
            reason = f"{come.status} {refusal.server_said(come.status, body)}"
            raise Transient(reason, status=come.status, billed=False) from None
        raise _malformed(client, come, body, error) from None
    if is_broken(reply.finish_reason):
        counts = (reply.prompt_tokens, reply.completion_tokens, reply.cost_usd)
        billed = any(reply.texts) or any(counts)
        reason = f"the answer broke off: finish_reason {reply.finish_reason!r}"
        raise Transient(reason, status=200, billed=billed, body=body)
    client.heard.answer = True
    return reply


def _malformed(
    client: Client, come: "Incoming", body: bytes, error: MalformedReply
) -> Transient | RowRefused | StoppedError:
    """What a 200 without an answer means: an error in it is taken as if it were its status.

    After answers an error of everybody is not believed, because the request was let in: it is a
    router's, about one of the servers behind it. Only an empty balance is.
    """
    status = error.status
    passing = client.heard.answer and status in (401, 404)
    if status is not None and not error.paid and not passing:
        return _refused(client, status, come.retry_after, f"{error.said} (in a 200)", body=body)
    reason = f"malformed answer: {error}"
    return Transient(reason, status=200, billed=error.paid, body=body, holds=error.holds)


def _refused(
    client: Client, status: int, retry_after: str | None, said: str, *, body: bytes | None = None
) -> Transient | RowRefused | StoppedError:
    if 300 <= status < 400:
        text = f"the teacher redirects ({status}); prompts are not sent on: correct base_url"
        return StoppedError(text, status=status)
    if client.key == NO_KEY and (status in (401, 403) or refusal.ABOUT_KEYS.search(said)):
        said = f"{said}; {refusal.NOTHING_SENT}"
    if status == refusal.NO_CREDIT:
        said = f"{said}; {refusal.ADD_CREDIT}"
    if status in refusal.STOP_RUN:
        return _stopped(status, f"{status} {said}")
    if status in refusal.STOP_ROW:
        return RowRefused(status, f"{status} {said}")
    after = _seconds(retry_after)
    reason = f"{status} {said}"
    return Transient(reason, status=status, retry_after_s=after, billed=False, body=body)


def _stopped(status: int, said: str) -> StoppedError:
    error = StoppedError(f"the teacher refuses every request: {said}", status=status)
    error.__cause__ = refusal.sdk_error(status, said)
    return error


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; the date form is not used by any known endpoint and is ignored."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
