r"""Reads a reference of the kind ``code``: JSON that holds the tests of a program.

    {"test": "def check(candidate): …", "entry_point": "f", "prompt": "def f(): …"}  HumanEval
    {"test_list": ["assert f(1) == 2", …], "test_setup_code": "…"}                    MBPP
    ["assert f(1) == 2", …]                                                           the same
    {"test": "from solution import f\ndef test_f(): …"}                               KodCode
    {"kind": "assert", "tests": "assert f(1) == 2", "entry_point": "f"}               our own
    {"kind": "stdin", "cases": [{"in": "1 2\n", "out": "3\n"}]}                       our own
    {"inputs": ["1 2\n", …], "outputs": ["3\n", …]}                                   APPS, TACO
    {"inputs": [[1, 2], …], "outputs": [3, …], "fn_name": "add"}                      APPS, TACO
    {"public_tests": {"input": […], "output": […]}, "private_tests": …}               CodeContests
    [{"input": "1 2\n", "output": "3\n"}, …]                            Codeforces, LiveCodeBench

For a program that reads and writes text, ``"language": "cpp"`` says what it has to be written in.
A key's value may itself be JSON in a string. Any of them may hold a solution under one of the
names in SOLUTIONS; it is only used to try out the tests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.verify.code.languages import of_mark
from distill.verify.code.source import tree

SOLUTIONS = ("canonical_solution", "reference_solution", "solution", "solutions", "code")
WHOLE = ("test", "tests")  # all tests in one piece of Python
ASSERTS = ("test_list", "tests", "test_cases", "unit_tests", "asserts", "challenge_test_list")
SETUPS = ("test_imports", "test_setup_code")
# Where lists of cases may be.
NESTED = (
    *("cases", "input_output", "official_tests", "public_tests", "private_tests"),
    *("generated_tests", "public_test_cases", "private_test_cases", "test_cases", "tests"),
)
INPUTS, OUTPUTS = ("input", "inputs", "in"), ("output", "outputs", "expected_output", "out")
NAMES = ("fn_name", "func_name", "function_name")
CHECKERS = ("checker", "generated_checker", "special_judge")
TOLERANCES = ("float_tolerance", "tolerance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Asserts about a function."""

    sources: tuple[str, ...]  # each one a piece of Python
    entry: str | None  # the function; None: the asserts say which
    prompt: str  # the code that an answer may continue; "" if the problem has none
    setup: str  # run after the program and before the tests
    reference: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """An input, and all outputs that are right."""

    given: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Inputs and outputs of a program that reads and writes text."""

    cases: tuple[Case, ...]
    tolerance: float | None  # of a number; None: texts are compared
    checked_elsewhere: bool  # the reference names a checker: another output may be right too
    language: str  # that it must be written in, as ``languages`` calls it; "": any
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Arguments and results of a function, in JSON."""

    entry: str
    cases: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]  # arguments; results that are right
    reference: str | None


Gold = Tests | Cases | Calls


def read_gold(text: str) -> Gold | None:
    """The tests of a reference; None if it has none that can be read."""
    try:
        return _read(_opened(text))
    except (RecursionError, ValueError):  # deeply nested lists; numbers of 5,000 digits
        return None


def _read(value: Any) -> Gold | None:
    if isinstance(value, list):
        value = {"tests": value}
    if not isinstance(value, dict):
        return None
    reference = _reference(value)
    for key in WHOLE:
        if isinstance(test := _opened(value.get(key)), str) and "assert" in test:
            return _asserts([test], value, reference)
    if sources := [one for key in ASSERTS for one in _texts(value.get(key)) if "assert" in one]:
        return _asserts(sources, value, reference)
    pairs = list(_pairs(value))
    name = _name(value)
    if not pairs:
        return None
    return _of_text(pairs, value, reference) if name is None else _of_calls(pairs, name, value)


def _opened(value: Any) -> Any:
    """The value; parsed if it is a string with a JSON object or list."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    return _json(value)


def _texts(value: Any) -> list[str]:
    opened = _opened(value)
    return [one for one in opened if isinstance(one, str)] if isinstance(opened, list) else []


def _reference(value: Mapping[str, Any]) -> str | None:
    """The first solution, joined with the prompt if it continues it."""
    found = next((_opened(value[key]) for key in SOLUTIONS if value.get(key)), None)
    if isinstance(found, list):
        found = next(iter(found), None)
    if not isinstance(found, str):
        return None
    prompt = value.get("prompt")
    indented = found.lstrip("\r\n")[:1].isspace()
    if not indented or not isinstance(prompt, str) or tree(prompt + found) is None:
        return found
    return prompt + found


def _asserts(sources: Sequence[str], value: Mapping[str, Any], reference: str | None) -> Tests:
    entry, prompt = value.get("entry_point"), value.get("prompt")
    parts: list[str] = []
    for key in SETUPS:
        said = value.get(key)
        parts += _texts(said) or ([said] if isinstance(said, str) else [])
    return Tests(
        sources=tuple(dict.fromkeys(sources)),
        entry=entry if isinstance(entry, str) and entry else None,
        prompt=prompt if isinstance(prompt, str) else "",
        setup="\n".join(part for part in parts if part.strip()),
        reference=reference,
    )


def _pairs(value: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The input and the expected output of every case."""
    inputs, outputs = (_opened(_first(value, keys)) for keys in (INPUTS, OUTPUTS))
    if isinstance(inputs, list) and isinstance(outputs, list):
        if len(inputs) == len(outputs):
            yield from zip(inputs, outputs, strict=True)
    elif inputs is not None and outputs is not None:
        yield inputs, outputs
    for key in NESTED:
        inner = _opened(value.get(key))
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield from _case(one)


def _case(value: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Of one case, or of a table of cases; each of several outputs for one input is right."""
    given, wanted = _first(value, INPUTS), _first(value, OUTPUTS)
    if isinstance(given, str) and isinstance(wanted, list):
        yield given, _Several(wanted)
    elif isinstance(given, str) and wanted is not None:
        yield given, wanted  # text, even if it looks like a list
    else:
        yield from _pairs(value)


class _Several(tuple[Any, ...]):
    """Outputs, each of which is right."""


def _first(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _name(value: Mapping[str, Any]) -> str | None:
    """The name of the function to call, if there is one."""
    metadata = _opened(value.get("metadata"))
    inner = [_opened(value.get(key)) for key in NESTED]
    for one in (value, metadata, *inner):
        if isinstance(one, dict) and isinstance(found := _first(one, NAMES), str) and found:
            return found
    return None


def _of_text(
    pairs: Sequence[tuple[Any, Any]], value: Mapping[str, Any], reference: str | None
) -> Cases | None:
    cases = []
    for given, wanted in pairs:
        accepted = wanted if isinstance(wanted, _Several) else (wanted,)
        if not accepted:
            return None
        texts = [_text(one) for one in (given, *accepted)]
        if any(one is None for one in texts):
            return None
        first, *rest = (one for one in texts if one is not None)
        cases.append(Case(first, tuple(rest)))
    tolerance = _first(value, TOLERANCES)
    if tolerance is not None and not _is_tolerance(tolerance):
        return None
    return Cases(
        cases=tuple(cases),
        tolerance=None if tolerance is None else float(tolerance),
        checked_elsewhere=any(value.get(key) for key in CHECKERS),
        language=of_mark(said) if isinstance(said := value.get("language"), str) else "",
        reference=reference,
    )


def _is_tolerance(value: Any) -> bool:
    """A number from 0 up to 1: with a larger one almost any number is right."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _text(value: Any) -> str | None:
    """A text, or a list of lines."""
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else None


def _of_calls(pairs: Sequence[tuple[Any, Any]], name: str, value: Mapping[str, Any]) -> Calls:
    """APPS wraps results in a list of one: if all are wrapped, both readings are right."""
    wrapped = all(isinstance(wanted, list) and len(wanted) == 1 for _, wanted in pairs)
    cases = []
    for given, wanted in pairs:
        if isinstance(given, str):  # LiveCodeBench: one argument per line, in JSON
            arguments = tuple(_json(line) for line in given.split("\n") if line.strip())
            accepted: tuple[Any, ...] = (_json(wanted) if isinstance(wanted, str) else wanted,)
        else:
            arguments = tuple(given) if isinstance(given, list) else (given,)
            accepted = (wanted, *wanted) if wrapped else (wanted,)
        cases.append((arguments, accepted))
    return Calls(entry=name, cases=tuple(cases), reference=_reference(value))


def _json(text: str) -> Any:
    """Not with orjson, which turns numbers beyond 64 bits into floats."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
