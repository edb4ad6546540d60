"""How an endpoint has done since it last answered, for whoever watches. The caller gives the time.

``breaker`` decides whether it is asked; this only remembers what to say of it.
"""

from dataclasses import dataclass

RATE_LIMITED = 429


@dataclass(slots=True)
class Health:
    """One endpoint's; times are seconds of one monotonic clock."""

    failures: int = 0  # tries without an answer, in the whole run
    limited: int = 0  # of these, 429s
    since: float | None = None  # of the first failure after the last answer
    last: str = ""  # what the last one said
    unreached: bool = False  # since then nobody was reached at all
    told: bool = False  # the user has been told of it

    def failed(self, reason: str, *, status: int, reached: bool, now: float) -> None:
        """A try without an answer; ``status`` is 0 where no response came."""
        self.unreached = not reached and (self.since is None or self.unreached)
        self.failures += 1
        self.limited += status == RATE_LIMITED
        self.since = now if self.since is None else self.since
        self.last = reason

    def answered(self) -> None:
        """It answered, or refused with a reason."""
        self.since, self.told = None, False
