"""A connection for one request. Sends nothing."""

import asyncio
import functools
import ssl

import aiohttp
from aiohttp.client_proto import ResponseHandler

HEAD_ENDS = b"\r\n\r\n"
HEADS = 4  # of interim replies and the reply's own, in one read


class OneReply(ResponseHandler):
    """Loses nothing of a reply by what is wrong behind it.

    Of a read in which anything is no HTTP (a body longer than it was declared, say) the parser
    throws all away: so it gets a reply's head by itself. And a body that turns out to be broken in
    a later read ends there; aiohttp would wait for the rest until the deadline.
    """

    def data_received(self, data: bytes) -> None:
        """Takes what the connection has read."""
        for _ in range(HEADS):
            head, mark, rest = data.partition(HEAD_ENDS)
            if not (mark and rest) or self.exception() is not None:
                break
            super().data_received(head + mark)
            data = rest
        if self.exception() is None:
            super().data_received(data)
        body = self._payload
        if self.exception() is not None and body is not None and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError("no HTTP any more"))

    def close(self) -> None:
        """At once: aiohttp would wait until what is left of a long request is taken up."""
        self.abort()


def connector(trust: ssl.SSLContext | bool) -> aiohttp.TCPConnector:
    """Makes such connections, as many as are wanted."""
    made = aiohttp.TCPConnector(limit=0, force_close=True, ssl=trust)
    made._factory = functools.partial(OneReply, loop=asyncio.get_running_loop())  # type: ignore[assignment]
    return made
