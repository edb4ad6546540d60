"""How many requests an endpoint gets at once. The caller gives the time.

Additive increase, multiplicative decrease: every sign of overload lowers the limit, every answer
raises it a little, up to what the recipe allows. Signs of overload are a 429, a missed deadline,
and, because some servers queue and never say 429, answers that come late because each token takes
longer than this server's best.
"""

from dataclasses import dataclass, field

LOWER = 0.75  # DataDesigner's controller: x0.75 on a 429, +1 per 25 answers (NVIDIA-NeMo, 99517ab)
RAISE_PER = 25.0  # answers for one more request at once; under that limit, one round of them
# A tenth at a time for lateness: it is a guess, where a 429 is a statement.
LOWER_LATE = 0.9
# An answer that took more than half of its deadline is late, if its tokens took half as long again
# as they do at best: long answers alone are not overload.
LATE_SHARE = 0.5
LATE_PACE = 1.5


@dataclass(slots=True)
class Throttle:
    """The limit of one endpoint; times are seconds of one monotonic clock."""

    most: int  # what the recipe allows
    limit: float = field(init=False)
    _lowered_at: float = -1.0
    _best_pace: float = 0.0  # seconds a token; 0: not known yet

    def __post_init__(self) -> None:
        self.limit = float(self.most)

    def room(self, under_way: int) -> bool:
        """Whether one more may be sent."""
        return under_way < max(1, int(self.limit))

    def overloaded(self, *, sent_at: float, now: float, factor: float = LOWER) -> None:
        """A sign of overload; requests sent before the last decrease tell nothing new."""
        if sent_at > self._lowered_at:
            self.limit = max(1.0, self.limit * factor)
            self._lowered_at = now

    def answered(
        self, *, sent_at: float, now: float, tokens: int | None, deadline_s: float
    ) -> None:
        """An answer of so many tokens."""
        took_s = now - sent_at
        if tokens and self._late(took_s / tokens, took_s, deadline_s):
            self.overloaded(sent_at=sent_at, now=now, factor=LOWER_LATE)
        else:
            self.limit = min(self.most, self.limit + 1 / min(self.limit, RAISE_PER))

    def _late(self, pace: float, took_s: float, deadline_s: float) -> bool:
        if not self._best_pace or pace < self._best_pace:
            self._best_pace = pace
        return took_s > LATE_SHARE * deadline_s and pace > LATE_PACE * self._best_pace
