"""Sends one chat request once and says how it ended. Does not retry (``retry``) or store anything.

aiohttp and orjson, with the openai SDK's request types and error classes: the SDK's own way through
the same aiohttp costs six times the CPU (``bench/generate.py``). Redirects and proxies from the
environment are not followed, and the whole request has one deadline: a timeout per read is defeated
by keep-alive bytes.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from distill.errors import StoppedError, UserError
from distill.teachers.endpoint import Endpoint
from distill.teachers.refusal import sdk_error, server_said
from distill.teachers.wire import MalformedReply, Reply, parse

if TYPE_CHECKING:
    import aiohttp

# Refusals that every further request would meet too: bad key, empty balance, no such model.
STOP_RUN = (401, 402, 403, 404)
# Refusals of this one request: repeating it unchanged cannot help.
STOP_ROW = (400, 413, 422)
CONNECT_S = 10.0  # a host that does not answer a handshake within this is down
# How much of a body is read: 384K tokens, the longest output any vendor allows, are about 2 MB;
# what sends more than this is broken, and must not fill the memory.
MOST_BYTES = 64 * 2**20
NO_KEY = ""
# A shorter key is a word for a server that wants none (EMPTY, none, token-abc123): taken out of
# answers it would change them.
SECRET_CHARS = 16
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


@dataclass(frozen=True, slots=True)
class Line:
    """An open way to one endpoint."""

    endpoint: Endpoint
    session: "aiohttp.ClientSession"
    url: str
    rest_url: str  # for the rest of an answer that was cut
    key: str  # in memory only; NO_KEY where the endpoint wants none

    def __repr__(self) -> str:
        return f"Line({self.url})"


@asynccontextmanager
async def connect(endpoint: Endpoint) -> AsyncIterator[Line]:
    """An open line; the key is read from the environment here and only here.

    Raises:
        UserError: the variable that should hold the key is not set, or holds none.
    """
    import aiohttp

    key = NO_KEY if endpoint.key_env is None else _key(endpoint.key_env)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key != NO_KEY:
        headers["Authorization"] = f"Bearer {key}"
    url = f"{endpoint.base_url.rstrip('/')}/chat/completions"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_trust(url)),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    ) as session:
        yield Line(endpoint, session, url, _rest_url(endpoint, url), key)


def _key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key:
        msg = f"the environment variable {name} is not set; put the API key in it"
        raise UserError(msg)
    # beyond latin-1 no header goes; and a line break there would begin another header
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or ord(c) > 0xFF for c in key):
        msg = (
            f"the environment variable {name} holds no API key: there are line breaks, control "
            "characters or foreign letters in it; put the key in it again"
        )
        raise UserError(msg)
    return key


def _rest_url(endpoint: Endpoint, url: str) -> str:
    """DeepSeek takes an answer's beginning at another path only (its chat prefix completion)."""
    base = endpoint.base_url.rstrip("/")
    if endpoint.continues != "deepseek_prefix" or base.endswith("/beta"):
        return url
    return f"{base.removesuffix('/v1')}/beta/chat/completions"


def _trust(url: str) -> ssl.SSLContext | bool:
    """The machine's certificate authorities, and certifi's where the machine has none."""
    if not url.startswith("https:"):
        return True
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


async def send(
    line: Line, body: Mapping[str, object], *, rest: bool = False
) -> tuple[Reply, bytes]:
    """The reply to one request and the raw body it came in.

    ``body`` has the keys of the SDK's ``CompletionCreateParams``, and the endpoint's own switches;
    ``rest`` says that it asks for the rest of an answer that was cut.

    Raises:
        StoppedError: 401, 402, 403, 404, a redirect, or an address that nothing can be sent to.
        RowRefused: 400, 413, 422, or a text that is no Unicode.
        Transient: every other status, a broken connection, the deadline, a malformed body.
    """
    import aiohttp

    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise RowRefused(0, f"cannot be sent: {error}") from None
    timeout_s, url = line.endpoint.timeout_s, line.rest_url if rest else line.url
    try:
        async with asyncio.timeout(timeout_s):
            async with line.session.post(url, data=data, allow_redirects=False) as response:
                answer = await _read(response)
    except TimeoutError as error:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            reason = "no connection (timeout)"
            raise Transient(reason, status=0, billed=False) from None
        reason = f"no whole answer within {timeout_s:g} s"
        raise Transient(reason, status=0, billed=True) from None
    except aiohttp.ClientConnectorError as error:  # never sent: nobody can have charged for it
        reason = f"no connection ({type(error).__name__})"
        raise Transient(reason, status=0, billed=False) from None
    except (aiohttp.InvalidURL, UnicodeError):  # never sent, nor will any other be
        text = f"no request can be sent to {url}; mend base_url"
        raise StoppedError(text, status=0) from None
    except (aiohttp.ClientError, OSError) as error:  # repr() of it can hold the key: never shown
        reason = f"connection broken ({type(error).__name__})"
        raise Transient(reason, status=0, billed=True) from None
    refused = response.status != 200
    if line.key != NO_KEY and (refused or len(line.key) >= SECRET_CHARS):
        answer = answer.replace(line.key.encode(), b"***")  # else the body is kept verbatim
    if refused:
        raise _refused(response.status, response.headers, answer)
    return _reply(answer)


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    """The whole body.

    Raises:
        Transient: it is larger than any answer is.
    """
    if (response.content_length or MOST_BYTES) < MOST_BYTES and not response.headers.get(
        "Content-Encoding"
    ):
        return await response.read()
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            response.close()
            reason = f"a body of more than {MOST_BYTES // 2**20} MB"
            raise Transient(reason, status=response.status, billed=True)
    return b"".join(parts)


def _reply(body: bytes) -> tuple[Reply, bytes]:
    try:
        reply = parse(body)
    except MalformedReply as error:
        reason = f"malformed answer: {error}"
        raise Transient(reason, status=200, billed=True, body=body) from None
    if reply.finish_reason in ABORTED:
        raise Transient(reply.finish_reason, status=200, billed=True, body=body)
    return reply, body


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    said = server_said(status, body)
    if 300 <= status < 400:
        text = f"the teacher redirects ({status}); prompts are not sent on: mend base_url"
        return StoppedError(text, status=status)
    if status in STOP_RUN:
        error = StoppedError(f"the teacher refuses every request: {status} {said}", status=status)
        error.__cause__ = sdk_error(status, said)
        return error
    if status in STOP_ROW:
        return RowRefused(status, f"{status} {said}")
    after = _seconds(headers.get("Retry-After"))
    return Transient(f"{status} {said}", status=status, retry_after_s=after, billed=False)


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; the date form is not used by any known endpoint and is ignored."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
