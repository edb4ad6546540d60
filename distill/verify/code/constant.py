"""Whether a program that returned one value in all its tests ever returns another.

``return True`` would pass such tests too. So the program is called with other arguments, close to
those of the tests. The right results for them are unknown and not needed.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from distill.jail.inside.codec import decode, encode
from distill.jail.program import Call, Program, Returned
from distill.jail.session import Jail
from distill.verify.code.plain import plainly

MOST = 64  # calls with other arguments; of HumanEval's and MBPP's functions all vary within 30
EACH = 8  # other values of one argument, or calls that are varied
ENOUGH = 8  # calls that are enough to decide, if there was no time for all
LIMIT_S = 1.0  # of all of them: with -1 a function may never end


def one_value(returned: Sequence[Returned]) -> bool:
    """Whether all calls returned the same value."""
    return len({one.value for one in returned}) == 1


def only_constant(jail: Jail, source: str, calls: Sequence[Call], *, reference: str | None) -> bool:
    """Whether the program returns that value for everything, and should not.

    False too if there are no other arguments to try, if it takes too long to find out, or if the
    ``reference``, a correct program, also returns only one value for them.
    """
    others = list(islice(_others(calls), MOST))
    if not others or _given(jail, source, [*calls[:1], *others]) != 1:
        return False
    return reference is None or _given(jail, reference, [*calls[:1], *others]) > 1


def _given(jail: Jail, source: str, calls: Sequence[Call]) -> int:
    """How many different values it returns for these; 0 if time ran out early."""
    ran = jail.run(plainly(Program(source, tuple(calls))), timeout_s=LIMIT_S)
    if len(ran.returned) < ENOUGH and ran.status != "ended":
        return 0
    return len({one.value for one in ran.returned if one.value is not None})


def _others(calls: Sequence[Call]) -> Iterator[Call]:
    """Calls with one argument changed; the first test's come last: it may be a special case."""
    seen = {(call.function, call.arguments) for call in calls}
    streams = [_changed(call) for call in reversed(calls[:EACH])]
    while streams:
        for stream in list(streams):
            call = next(stream, None)
            if call is None:
                streams.remove(stream)
            elif (call.function, call.arguments) not in seen:
                seen.add((call.function, call.arguments))
                yield call


def _changed(call: Call) -> Iterator[Call]:
    decoded: Any = decode(call.arguments)
    given, named = decoded
    streams = [
        (place, chain(_found_in(given, value), _near(value))) for place, value in enumerate(given)
    ]
    for _ in range(EACH):
        for place, stream in streams:
            for value in islice(stream, 1):
                other = [*given[:place], value, *given[place + 1 :]]
                yield Call(call.function, encode((other, named)))


def _found_in(given: Sequence[object], value: object) -> Iterator[object]:
    """Items of the lists beside it, because a function may search them for it."""
    for one in given:
        if isinstance(one, list | tuple):
            yield from (item for item in one[:2] if type(item) is type(value))


def _near(value: object) -> Iterator[object]:
    """Other values of the same type."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1, 2 * value + 1, -value, value * 10, value // 2)
        case str():
            yield from (value[:-1], value + "a", value[::-1], value + value, value.swapcase())
            yield from (value[1:] + value[:1], value + "1", "")
        case list() | tuple():
            yield from _near_list(value)
        case dict() if value:
            *_, last = value
            yield {key: one for key, one in value.items() if key != last}
            yield from ({**value, last: one} for one in _near(value[last]))
        case set() | frozenset() if value:
            yield from (value - {one} for one in sorted(value, key=repr)[-2:])


def _near_list(value: list[object] | tuple[object, ...]) -> Iterator[object]:
    kind, items = type(value), list(value)
    if items:
        yield kind([*items[:-1], *islice(_near(items[-1]), 1)])
        yield kind(items[:-1])
        yield kind(items[::-1])
        yield kind([*islice(_near(items[0]), 1), *items[1:]])
        yield kind([*items, items[0]])
        yield kind([*islice(_near(items[0]), 2, 3), *items[1:]])
        yield kind(sorted(items, key=repr))
        yield kind(items[1:])
