"""Whether a program that returned one value in all its tests ever returns another.

``return True`` would pass such tests too. So the program is called with other arguments, close to
those of the tests. The right results for them are unknown and not needed.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from distill.jail.inside.codec import CodecError, decode, encode
from distill.jail.program import Call, Program, Returned
from distill.jail.session import Jail
from distill.verify.code.plain import plainly

MOST = 64  # calls with other arguments; of HumanEval's and MBPP's functions all vary within 30
EACH = 8  # other values of one argument, or calls that are varied
LIMIT_S = 4.0  # of all of them
RUN_S = 1.0  # of those in one process: with -1 a function may never end


def one_value(returned: Sequence[Returned]) -> bool:
    """Whether all calls returned the same value; 0, -0.0 and False are the same."""
    return len({_frozen(one) for one in returned}) == 1


def only_constant(jail: Jail, source: str, calls: Sequence[Call], *, reference: str | None) -> bool:
    """Whether the program was not seen to return another value, and should have been.

    A program that is too slow to find out was not. False if there are no other arguments to try, or
    if the ``reference``, a correct program, was not seen to return another value either.
    """
    others = list(islice(_others(calls), MOST))
    if not others or _varies(jail, source, [*calls[:1], *others]):
        return False
    return reference is None or _varies(jail, reference, [*calls[:1], *others])


def _varies(jail: Jail, source: str, calls: Sequence[Call]) -> bool:
    """Whether it returns different values for these; a call that it does not survive is skipped."""
    until, found = time.monotonic() + LIMIT_S, set[object]()
    while calls and len(found) < 2 and (left := until - time.monotonic()) > 0:
        ran = jail.run(plainly(Program(source, tuple(calls))), timeout_s=min(left, RUN_S))
        found |= {_frozen(one) for one in ran.returned if one.value is not None}
        calls = calls[len(ran.returned) + 1 :]
    return len(found) > 1


def _frozen(returned: Returned) -> object:
    """The value as a key: what is equal in Python is equal, but a list is not a tuple."""
    try:
        return _key(decode(returned.value or b""))
    except (CodecError, RecursionError, TypeError):
        return returned.value


def _key(value: object) -> object:
    match value:
        case list() | tuple():
            return (type(value), tuple(map(_key, value)))
        case dict():
            return (dict, frozenset((_key(key), _key(one)) for key, one in value.items()))
        case set() | frozenset():
            return (set, frozenset(map(_key, value)))
        case float() | complex() if value != value:
            return repr(value)
    return value


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
