"""References that are malformed or meant to harm, and what an honest program may get by them."""

import json
from dataclasses import dataclass

HONEST_LABELS = frozenset({"correct", "unverifiable"})  # never wrong: it is not its fault
NOT_WRONG = HONEST_LABELS | {"timeout"}
UNVERIFIABLE = frozenset({"unverifiable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference, a program that is no worse than it, and the labels it may get."""

    name: str
    gold: str
    source: str = "def f(x):\n    return x * x + 1\n"
    labels: frozenset[str] = HONEST_LABELS
    open: str = ""


def _asserts(name: str, *tests: str, labels: frozenset[str] = HONEST_LABELS) -> Reference:
    return Reference(name=name, gold=json.dumps({"test_list": tests}), labels=labels)


def _check(name: str, body: str, **more: str) -> Reference:
    test = "def check(candidate):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    gold = json.dumps({"test": test, "entry_point": "f"} | more)
    return Reference(name=name, gold=gold)


def _script(name: str, text: str, source: str = "print(2.5)") -> Reference:
    return Reference(name=name, gold=text, source=source)


GOLDS = (
    Reference(name="nothing", gold="", labels=UNVERIFIABLE),
    Reference(name="no_json", gold="{{{", labels=UNVERIFIABLE),
    Reference(name="a_number", gold="7", labels=UNVERIFIABLE),
    Reference(name="lists_in_lists", gold="[" * 100_000 + "]" * 100_000, labels=UNVERIFIABLE),
    Reference(name="no_tests", gold='{"test_list": []}', labels=UNVERIFIABLE),
    Reference(
        name="tests_that_are_no_texts", gold='{"test_list": [1, null, {}]}', labels=UNVERIFIABLE
    ),
    Reference(
        name="more_inputs_than_outputs",
        gold='{"inputs": ["1", "2"], "outputs": ["1"]}',
        labels=UNVERIFIABLE,
    ),
    Reference(
        name="a_function_name_that_runs",
        gold=json.dumps(
            {"fn_name": "__import__('os')._exit(0) or f", "inputs": [[3]], "outputs": [10]}
        ),
        labels=frozenset({"wrong", "unverifiable", "no_answer"}),
    ),
    _asserts("nothing_about_the_function", "assert True", labels=UNVERIFIABLE),
    _asserts("always_true", "assert f(3) or True", labels=UNVERIFIABLE),
    _asserts("no_python", "assert f(3) ==", labels=UNVERIFIABLE),
    _asserts("a_null_byte", "assert f(3) == '\0'", labels=UNVERIFIABLE),
    _asserts("half_a_character", "assert f(3) == '\ud800'", labels=UNVERIFIABLE),
    _asserts("a_power_without_end", "assert f(3) == 9 ** 9 ** 9", labels=NOT_WRONG),
    _asserts("a_product_without_end", "assert f(3) == 'x' * 10 ** 12", labels=NOT_WRONG),
    _asserts("a_shift_without_end", "assert f(3) == 1 << 10 ** 12", labels=NOT_WRONG),
    _asserts("many_digits", "assert f(3) == 1" + "0" * 5000, labels=UNVERIFIABLE),
    _asserts(
        "a_number_too_long_to_write",
        "assert f(3) == 10",
        "assert f(0x1" + "0" * 5000 + ") > 0",
    ),
    _asserts("a_sum_of_thousands", "assert f(3) == " + "+".join("1" * 5000)),
    _asserts("nots_in_nots", "assert " + "not " * 20_000 + "f(3)", labels=UNVERIFIABLE),
    _check("tests_that_leave", "candidate(3)\n__import__('os')._exit(0)"),
    _check("tests_that_exit", "candidate(3)\nraise SystemExit(0)"),
    _check("tests_without_end_in_a_jail", "assert [candidate(3) for _ in range(2)][0] == 10"),
    _check(
        "tests_that_catch_all", "try:\n    assert candidate(3) == 7\nexcept Exception:\n    pass"
    ),
    _check(
        "tests_that_read_files", "assert open('/etc/hostname').read()\nassert candidate(3) == 10"
    ),
    _check("tests_that_need_a_module", "import numpy\nassert numpy.allclose(candidate(3), 10)"),
    Reference(
        name="nothing_wrong_but_a_program_with_a_name_of_ours",
        gold=json.dumps(
            {
                "test": "def check(candidate):\n    for x in (3, 4):\n"
                "        assert candidate(x) == x * x + 1\n",
                "entry_point": "f",
            }
        ),
        source="list = [1]\nstr = 'a'\nint = 3\ndef f(x):\n    return x * x + 1\n",
    ),
    Reference(
        name="nothing_wrong_but_a_dict_of_a_program_with_a_name_of_ours",
        gold=json.dumps({"test_list": ["assert f(3) == {'a': [1]}"]}),
        source="from collections import OrderedDict\nlist = [1]\n"
        "def f(x):\n    return OrderedDict(a=[1])\n",
    ),
    _check(
        "a_prompt_in_words",
        "assert candidate(3) == 10",
        prompt="Write a function f of x.",
    ),
    _script("a_tolerance_without_end", '{"inputs": ["1"], "outputs": ["2.5"], "tolerance": 1e999}'),
    _script(
        "a_tolerance_that_is_no_number", '{"inputs": ["1"], "outputs": ["2.5"], "tolerance": NaN}'
    ),
    _script(
        "a_tolerance_too_large_to_be_one",
        '{"inputs": ["1"], "outputs": ["2.5"], "tolerance": 1' + "0" * 400 + "}",
    ),
    _script(
        "a_case_without_outputs",
        '[{"input": "1", "output": ["2"]}, {"input": "2", "output": []}]',
        source="print(int(input()) + 1)",
    ),
    _script("outputs_that_are_nothing", '{"inputs": ["1"], "outputs": [""]}'),
    _script("an_input_of_half_a_character", '{"inputs": ["\\ud800"], "outputs": ["2.5"]}'),
)
