"""The body of a response as it comes in. Does not judge it.

Content codings are undone here and not by aiohttp, which throws away what is declared wrongly or
cut off: it was paid for.
"""

import zlib
from dataclasses import dataclass, field

import aiohttp

from distill.teachers.connection import OneReply

# How much of a body is read: 384K tokens, the longest output any vendor allows, are about 2 MB;
# what sends more than this is broken, and must not fill the memory.
MOST_BYTES = 64 * 2**20
GZIP = b"\x1f\x8b"
MEMBERS = 16  # of one gzip; a server that sends more wants to keep us busy
EITHER, BARE = 47, -15  # zlib's window bits: gzip or zlib by its first bytes; deflate alone


class TooLarge(Exception):
    """A body of more than MOST_BYTES."""

    def __str__(self) -> str:
        return f"a body of more than {MOST_BYTES // 2**20} MB"


@dataclass(slots=True)
class Incoming:
    """A response, as far as it has come."""

    status: int | None = None  # None: nothing has come
    coding: str = ""  # as it is declared
    retry_after: str | None = None
    asked: bool = False  # all of the request was sent
    parts: list[bytes] = field(default_factory=list)

    async def read(self, reply: OneReply) -> None:
        """Reads all of a reply; what came before an error is kept.

        Raises:
            TooLarge: it is larger than any answer is.
            aiohttp.ClientError, aiohttp.http.HttpProcessingError: it ended before its end.
        """
        head, content = await reply.receive()
        self.status = head.code
        self.coding = head.headers.get("Content-Encoding", "").strip().lower()
        self.retry_after = head.headers.get("Retry-After")
        size = 0
        try:
            async for part in content.iter_any():
                self.parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise TooLarge
        except aiohttp.ClientError:
            self.parts.append(_held(content))
            raise

    def body(self) -> bytes:
        """What has come, with its coding undone; as it came where it has none, whatever it says.

        Raises:
            TooLarge: it becomes larger than MOST_BYTES.
        """
        raw = b"".join(self.parts)
        if raw.startswith(GZIP) or self.coding == "deflate":
            for bits in (EITHER, BARE):
                if (text := _inflated(raw, bits)) is not None:
                    return text
        return raw


def _held(content: aiohttp.StreamReader) -> bytes:
    """What came together with an error: as long as that is set, nothing is given."""
    content.set_exception(None)  # type: ignore[arg-type]
    return content.read_nowait(-1)


def _inflated(raw: bytes, bits: int) -> bytes | None:
    """None where it is not coded so; of what was cut off, the beginning."""
    text = b""
    for _ in range(MEMBERS):
        stretch = zlib.decompressobj(bits)
        try:
            text += stretch.decompress(raw, MOST_BYTES + 1 - len(text))
        except zlib.error:
            return text or None
        if len(text) > MOST_BYTES:
            raise TooLarge
        raw = stretch.unused_data if stretch.eof else b""
        if not raw:
            break
    return text
