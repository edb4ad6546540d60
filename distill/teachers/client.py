"""Sends one chat request once and says how it ended. Does not retry (``retry``) or store anything.

The openai SDK over its aiohttp transport, with the SDK's own retries and redirects switched off:
its timeout is per read and is defeated by keep-alive bytes, so the whole request has a deadline.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from distill.errors import StoppedError, UserError
from distill.teachers.endpoint import Endpoint
from distill.teachers.wire import MalformedReply, Reply, parse

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Refusals that every further request would meet too: bad key, empty balance, no such model.
STOP_RUN = (401, 402, 403, 404)
# Refusals of this one request: repeating it unchanged cannot help.
STOP_ROW = (400, 413, 422)
# How a request fails before it is sent: nobody can have charged for it.
NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")
NO_KEY = "none"  # what a server without keys is sent: the client wants some
# DeepSeek: the server aborted for want of resources; the text is a fragment.
ABORTED = ("insufficient_system_resource",)


class RowRefused(Exception):
    """The endpoint refuses this request for good; ``status`` is its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Transient(Exception):
    """No answer this time; ``retry_after_s`` is what the server asked for, if it did.

    ``billed`` says whether the teacher may have charged for it: it answered, or never said no.
    ``body`` is what a 200 carried, to be kept: it may have been paid for.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int,
        billed: bool,
        retry_after_s: float | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s
        self.billed = billed
        self.body = body


@asynccontextmanager
async def connect(endpoint: Endpoint) -> AsyncIterator["AsyncOpenAI"]:
    """An open client for one endpoint; the key is read from the environment here and only here.

    Raises:
        UserError: the variable that should hold the key is not set.
    """
    from openai import AsyncOpenAI, DefaultAioHttpClient

    key = NO_KEY
    if endpoint.key_env is not None:
        key = os.environ.get(endpoint.key_env, "")
        if not key:
            msg = f"the environment variable {endpoint.key_env} is not set; put the API key in it"
            raise UserError(msg)
    async with DefaultAioHttpClient(follow_redirects=False, trust_env=False) as http:
        yield AsyncOpenAI(
            api_key=key,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=endpoint.timeout_s,
            http_client=http,
        )


async def send(
    client: "AsyncOpenAI", body: dict[str, Any], *, timeout_s: float
) -> tuple[Reply, bytes]:
    """The reply to one request and the raw body it came in.

    Raises:
        StoppedError: 401, 402, 403, 404.
        RowRefused: 400, 413, 422.
        Transient: every other status, a broken connection, the deadline, a malformed body.
    """
    import openai

    try:
        async with asyncio.timeout(timeout_s):
            raw = await client.chat.completions.with_raw_response.create(**body)
    except TimeoutError:
        reason = f"no whole answer within {timeout_s:g} s"
        raise Transient(reason, status=0, billed=True) from None
    except openai.APIStatusError as error:
        raise _refused(error) from None
    except openai.APIConnectionError as error:  # repr() of its cause can hold the key: never shown
        kind = type(error.__cause__ or error).__name__
        sent = kind not in NOT_SENT
        reason = f"connection broken ({kind})" if sent else f"no connection ({kind})"
        raise Transient(reason, status=0, billed=sent) from None
    answer: bytes = raw.http_response.content
    if client.api_key != NO_KEY:  # the body is kept verbatim, but for a key that it echoes
        answer = answer.replace(client.api_key.encode(), b"***")
    return _read(answer)


def _read(body: bytes) -> tuple[Reply, bytes]:
    try:
        reply = parse(body)
    except MalformedReply as error:
        reason = f"malformed answer: {error}"
        raise Transient(reason, status=200, billed=True, body=body) from None
    if reply.finish_reason in ABORTED:
        raise Transient(reply.finish_reason, status=200, billed=True, body=body)
    return reply, body


def _refused(error: Any) -> Exception:
    status, said = int(error.status_code), _said(error)
    if status in STOP_RUN:
        text = f"the teacher refuses every request: {status} {said}"
        return StoppedError(text, status=status)
    if status in STOP_ROW:
        return RowRefused(status, f"{status} {said}")
    after = _seconds(error.response.headers.get("retry-after"))
    return Transient(f"{status} {said}", status=status, retry_after_s=after, billed=False)


def _said(error: Any) -> str:
    """The server's own words, short, and without the key if it echoes it."""
    sent = error.request.headers.get("authorization", "").removeprefix("Bearer ")
    text = " ".join(str(error.message).split())
    return (text.replace(sent, "***") if sent not in ("", NO_KEY) else text)[:200]


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; the date form is not used by any known endpoint and is ignored."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
