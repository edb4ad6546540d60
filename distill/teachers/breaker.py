"""Whether an endpoint is worth asking. The caller gives the time.

After a row of failures without one answer the endpoint is left alone for a second, then one request
at a time tries it, at growing distances, until it answers. So a dead endpoint costs a few requests,
and none of the rows uses up its tries on it.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

# More than one request's own tries (retry.ATTEMPTS): a single row that always fails does not
# mean a dead endpoint.
FAILURES = 10
WAIT_FIRST_S = 1.0
WAIT_MAX_S = 60.0


@dataclass(slots=True)
class Breaker:
    """One endpoint's; times are seconds of one monotonic clock."""

    opens_at: float = 0.0  # nothing is sent before
    trying: bool = False  # the one request that is to tell is under way
    _failures: int = 0
    _rows: set[Hashable] = field(default_factory=set)  # that failed since the last answer
    _wait_s: float = WAIT_FIRST_S

    @property
    def broken(self) -> bool:
        """Whether only single requests may try the endpoint."""
        return self._failures >= FAILURES

    def lets_through(self, now: float) -> bool:
        """Whether one more request may be sent."""
        return now >= self.opens_at and not (self.broken and self.trying)

    def sent(self) -> bool:
        """One was sent; whether it is the one that is to tell."""
        self.trying = self.broken
        return self.trying

    def pause(self, until: float) -> None:
        """The endpoint asked to be left alone."""
        self.opens_at = max(self.opens_at, until)

    def answered(self) -> None:
        """It is well: it answered, or refused with a reason."""
        self._failures, self._wait_s, self.trying = 0, WAIT_FIRST_S, False
        self._rows.clear()

    def failed(self, *, now: float, probe: bool, row: Hashable = None) -> None:
        """No answer to the request that is to tell (``probe``), or to one sent before.

        ``row`` is given where it may be the row's own fault: each then counts once, or a few rows
        that always fail, left over at the end of a run, would be taken for a dead endpoint.
        """
        was_broken = self.broken
        self._failures += row is None or row not in self._rows
        if row is not None:
            self._rows.add(row)
        if probe:
            self.trying = False
        if self.broken and (probe or not was_broken):  # others tell nothing new
            self.pause(now + self._wait_s)
            self._wait_s = min(2 * self._wait_s, WAIT_MAX_S)

    def let_go(self, *, probe: bool) -> None:
        """A request ended without telling anything: it was cancelled."""
        if probe:
            self.trying = False
