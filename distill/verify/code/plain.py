"""Source appended to a program so that its functions return plain data.

Only the exact built-in types come out of a jail. To an assert, a Counter or a named tuple is a dict
or a tuple, so it is sent as one. Only its content is read, never its own methods, so an object that
claims to be equal to everything gains nothing.
"""

from dataclasses import replace

from distill.jail.inside.codec import Opaque
from distill.jail.program import Call, Program

# Python's own names come from ``builtins``: programs call their variables list, str and max.
_PLAIN = """

import builtins as _distill_b

def _distill_plain(value, depth=0):
    b = _distill_b
    if value is None or b.isinstance(value, b.bool) or depth > 100:
        return value
    for kind in (b.int, b.float, b.complex):
        if b.isinstance(value, kind):
            return kind.__pos__(value)
    if b.isinstance(value, b.str):
        return b.str.__str__(value)
    if b.isinstance(value, b.bytes):
        return b"".join((value,))
    if b.isinstance(value, b.dict):
        return {
            _distill_plain(key, depth + 1): _distill_plain(one, depth + 1)
            for key, one in b.dict.items(value)
        }
    for kind in (b.list, b.tuple, b.set, b.frozenset):
        if b.isinstance(value, kind):
            return kind(_distill_plain(one, depth + 1) for one in kind.__iter__(value))
    return value
"""
_CALL = """

def {name}(*args, **kwargs):
    return _distill_plain({function}(*args, **kwargs))
"""


# The same for a tester. It passes copies, so tests do not see changed arguments. Errors travel by
# the name of a built-in type; one of the program's own classes becomes the type it is derived from.
_WATCHED = """

_distill_changes = []

def {name}(*args, **kwargs):
    before = _distill_plain([args, kwargs])
    try:
        return _distill_plain({function}(*args, **kwargs))
    except _distill_b.BaseException as error:
        kind = _distill_b.type(error)
        kinds = [one for one in kind.__mro__ if one.__module__ == "builtins"]
        if kind in kinds:
            raise
        raise kinds[0].__new__(kinds[0]) from None
    finally:
        _distill_changes.append(_distill_plain([args, kwargs]) != before)

def {changed}():
    return _distill_b.any(_distill_changes)
"""
NAME, CHANGED = "_distill_plain_entry", "_distill_changed"


def opaque(value: object) -> str | None:
    """The name of a type in the value that is not plain data; None if all of it is plain."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Opaque):
            return one.type_name
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
    return None


def plainly(program: Program) -> Program:
    """The same calls with their results as plain data."""
    functions = dict.fromkeys(call.function for call in program.calls)
    names = {one: f"_distill_plain_{n}" for n, one in enumerate(functions)}
    calls = tuple(Call(names[call.function], call.arguments) for call in program.calls)
    added = "".join(_CALL.format(name=name, function=one) for one, name in names.items())
    return replace(program, source=program.source + _PLAIN + added, calls=calls)


def watched(source: str, function: str) -> str:
    """The source plus NAME, which calls the function, and CHANGED: has it changed an argument?"""
    return source + _PLAIN + _WATCHED.format(name=NAME, function=function, changed=CHANGED)
