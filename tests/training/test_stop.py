"""A training that is told to stop: by which signals, and which it ignores."""

import signal
from collections.abc import Iterator

import pytest

from distill.training.stop import STOPS, asked_to_stop


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, was in before.items():
        signal.signal(number, was)


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_the_first_signal_is_heard_and_the_second_stops_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with asked_to_stop() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_what_the_process_was_told_to_ignore_stays_ignored(number: signal.Signals) -> None:
    """By nohup, or by a shell that starts it with & in a script."""
    signal.signal(number, signal.SIG_IGN)
    with asked_to_stop() as asked:
        signal.raise_signal(number)
        assert not asked()
    assert signal.getsignal(number) is signal.SIG_IGN
