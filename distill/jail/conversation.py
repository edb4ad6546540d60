"""A candidate that stays loaded and is called many times."""

from distill.jail.exchange import Exchange, Malformed, returned
from distill.jail.program import Ran, Returned


class Conversation:
    """Calls of one candidate, all in one process, until the time limit of ``Jail.talk``."""

    def __init__(self, exchange: Exchange | None, failed: Ran | None = None) -> None:
        self._exchange = exchange
        self._failed = failed
        self._number = 0

    @property
    def ended(self) -> Ran | None:
        """How the candidate ended; None while it can be called."""
        if self._exchange is None or not self._exchange.over:
            return self._failed
        status, error = self._exchange.ended()
        return Ran(status, error=error)

    def load(self, source: str) -> None:
        """Send the source and wait until it is loaded; ``ended`` says if it is not."""
        exchange = self._exchange
        if exchange is None:
            return
        exchange.guarded(lambda: exchange.start("talk", source, (), ()))
        if not exchange.over:
            exchange.guarded(lambda: _expect_loaded(exchange))

    def call(self, name: str, arguments: bytes) -> Returned:
        """One call with ``codec.encode((list of positional, dict of named))``.

        A candidate that has ended gives ``raised="candidate <status>"``, with the status of
        ``ended``; no exception's type name has a space in it.
        """
        self._number += 1
        number, exchange = self._number, self._exchange
        if exchange is not None and not exchange.over:
            answer = exchange.guarded(lambda: _ask(exchange, number, name, arguments))
            if answer is not None:
                return answer
        ended = self.ended
        return Returned(None, f"candidate {ended.status if ended else 'jail_failed'}")


def _expect_loaded(exchange: Exchange) -> None:
    if exchange.next() not in (None, ("loaded",)):
        text = "not what a candidate sends when it is loaded"
        raise Malformed(text)


def _ask(exchange: Exchange, number: int, name: str, arguments: bytes) -> Returned | None:
    exchange.tell((number, name, arguments))
    match exchange.next():
        case None:
            return None
        case ("answer", int(echo), value, raised) if echo == number:
            return returned(value, raised)
    text = "not the answer to this call"
    raise Malformed(text)
