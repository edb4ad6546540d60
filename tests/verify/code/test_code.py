"""Programs: what is taken from a response, what its tests say, and what never passes for right."""

import ast
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill
from bench.mutants import KINDS, mutant
from distill.errors import Exit, UserError
from distill.files.write import read_json
from distill.jail.inside.codec import decode
from distill.problems import LeftOut, problem_set
from distill.problems.golds import own_verdicts
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.verify import Isolation, Item, Verdict, grade, grade_all
from distill.verify.code import check, check_all, own_answer
from distill.verify.code.claims import NotPlain, claim
from distill.verify.code.gold import (
    ASSERTS,
    CHECKERS,
    INPUTS,
    NAMES,
    NESTED,
    OUTPUTS,
    SETUPS,
    SOLUTIONS,
    TOLERANCES,
    read_gold,
)  # fmt: skip
from distill.verify.code.judge import Finding, judge_calls
from distill.verify.code.output import difference
from distill.verify.code.response import fenced, program, script
from distill.verify.code.source import tree
from distill.verify.code.suite import Suite, suite
from distill.verify.workers.threads import PROGRAM_THREADS, Jails
from tests.builders.benchmark_rows import HUMANEVAL, MBPP
from tests.builders.jails import jailed, needs_jail
from tests.builders.teacher_server import completion, teacher_server


@pytest.fixture(scope="module", autouse=True)
def _no_jail_stays() -> Iterator[None]:
    yield
    PROGRAM_THREADS.close()


def block(source: str) -> str:
    return f"So this is it:\n\n```python\n{source}\n```\nIt is fast."


def says(gold: Any, source: str, **options: Any) -> Verdict:
    return check_all([(json.dumps(gold), block(source))], **options)[0]


ROWS = [*HUMANEVAL, *MBPP]


# --- the shapes of benchmarks, right programs and wrong ones ---


def solved(row: dict[str, Any]) -> tuple[str, str]:
    gold = json.dumps(row)
    return gold, block(str(getattr(read_gold(gold), "reference", None)))


@needs_jail
@pytest.mark.parametrize("workers", [1, 8])  # 8: more than there are programs to share
def test_every_solution_passes_its_own_tests(workers: int) -> None:
    found = check_all([solved(row) for row in ROWS], workers=workers, timeout_s=60)
    assert [(v.label, v.detail) for v in found] == [("correct", "block")] * len(ROWS)


@needs_jail
def test_a_completion_of_the_prompt_is_taken_with_it() -> None:
    items = [(json.dumps(row), str(row["canonical_solution"])) for row in HUMANEVAL]
    found = check_all(items, workers=2)
    assert {(v.label, v.detail) for v in found} == {("correct", "completion")}


@needs_jail
@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_of_a_solution_is_correct(kind: str) -> None:
    items = []
    for row in ROWS:
        gold = json.dumps(row)
        read, tests = read_gold(gold), suite(gold)
        assert read is not None
        assert isinstance(tests, Suite)
        items.append((gold, block(mutant(kind, str(read.reference), tests.entry))))
    labels = [verdict.label for verdict in check_all(items, workers=2)]
    assert set(labels) <= {"wrong", "unverifiable"}
    opaque = kind == "equal to everything"
    assert labels.count("unverifiable") <= (len(labels) if opaque else 0)


EVEN = "def even(n):\n    return n % 2 == 0"
ODD_ONLY = {"test_list": ["assert even(3) == False", "assert even(5) == False"]}
LOOPED = {
    "entry_point": "even",
    "test": "def check(candidate):\n    for n in (3, 5):\n        assert candidate(n) is False\n",
}


@needs_jail
@pytest.mark.parametrize("gold", [ODD_ONLY, LOOPED, {"test_list": ["assert even(3) == False"]}])
@pytest.mark.parametrize("reference", [{}, {"code": EVEN}])
def test_a_constant_is_not_correct_where_tests_expect_one_value(gold: Any, reference: Any) -> None:
    gold = gold | reference
    assert says(gold, EVEN).label == "correct"
    constant = says(gold, "def even(n):\n    return False")
    assert (constant.label, constant.method) == ("unverifiable", "weak_tests")
    memory = EVEN.replace("n % 2 == 0", "first.append(n % 2 == 0) or first[0]") + "\nfirst = []"
    assert says(gold, memory).method == "weak_tests"


@needs_jail
@pytest.mark.parametrize(
    "body",
    [
        "    import time\n    time.sleep(0.3)\n    return False",
        "    import time\n    time.sleep(1.5)\n    return False",
        "    for _ in range(2 * 10**7): pass\n    return False",
        "    return [0, 0, 0, False][n % 4]",
        "    return [0.0, -0.0, 0, False][n % 4]",
        "    return 0 if n in (3, 5) else 0j",
        "    while n not in (3, 5): pass\n    return False",
        "    if n not in (3, 5): import os; os._exit(0)\n    return False",
    ],
)
def test_a_constant_that_is_slow_or_spelled_in_several_ways_is_not_correct(body: str) -> None:
    for gold in (ODD_ONLY, ODD_ONLY | {"code": EVEN}):
        assert says(gold, f"def even(n):\n{body}").method == "weak_tests"


@needs_jail
def test_an_honest_program_that_is_slow_or_never_ends_for_some_is_correct() -> None:
    slow = "import time\n" + EVEN.replace("    return", "    time.sleep(0.1)\n    return")
    ends = "def even(n):\n    while n not in (0, 1): n -= 2\n    return n == 0"
    for source in (slow, ends, EVEN.replace("n % 2 == 0", "1 - n % 2")):
        assert says(ODD_ONLY, source).label == "correct"


@needs_jail
@pytest.mark.parametrize(
    ("test", "source", "reference"),
    [
        ("assert f() == 42", "def f():\n    return 42", None),  # there is nothing to vary
        ("assert f([1]) == []", "def f(x):\n    return []", "def f(x):\n    return x[:0]"),
        ("assert f({'a': 1}) == 1", "def f(x):\n    return sum(x.values())", None),
        ("assert f(-1) == 2", "def f(n):\n    while n < -1: pass\n    return n + 3", None),
    ],
)
def test_a_right_program_stays_correct_though_its_tests_expect_one_value(
    test: str, source: str, reference: str | None
) -> None:
    assert says({"test_list": [test], "code": reference}, source).label == "correct"


# --- every shape of a reference ---

ADD = "def add(a, b):\n    return a + b"
SUM = "a, b = map(int, input().split())\nprint(a + b)"
METHOD = "class Solution:\n    def add(self, a: int, b: List[int]) -> int:\n        return a + b[0]"
ADDING = {
    "prompt": "from typing import List\n\ndef add(a, b):\n    '''The sum.'''\n",
    "entry_point": "add",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    "    assert candidate(0, 5) == 5",
}
PAIRS = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
TABLE = {"input": PAIRS["inputs"], "output": PAIRS["outputs"]}
CASES = [{"input": "1 2\n", "output": "3\n"}, {"input": "3 4\n", "output": "7\n"}]
SHAPES = [
    (ADDING, ADD),
    ({**ADDING, "test": ADDING["test"] + "\n    for n in range(9):\n"
      "        assert candidate(n, n) == 2 * n"}, ADD),
    ({"test_list": ["assert add(1, 2) == 3", "assert add(0, 5) == 5"]}, ADD),
    (["assert add(1, 2) == 3", "assert add(0, 5) == 5"], ADD),
    ({"tests": ["assert add(1, 2) == 3", "assert add(0, 5) == 5"]}, ADD),
    ({"test_list": "[\"assert add(1, 2) == 3\"]", "challenge_test_list": ["assert add(0, 5) == 5"]},
     ADD),
    ({"test_imports": ["import math"], "test_list": ["assert math.isclose(add(1, 2), 3)",
      "assert abs(add(0.1, 0.2) - 0.3) < 1e-6"]}, ADD),
    ({"test_setup_code": "pair = Pair(1, 2)", "test_list": ["assert add(*pair.both) == 3"]},
     ADD + "\nclass Pair:\n    def __init__(self, *both): self.both = both"),
    ({"test": "from solution import add\nimport math\n\ndef test_add():\n"
      "    assert add(1, 2) == 3\n    assert math.gcd(add(0, 5), 10) == 5"}, ADD),
    ({"kind": "assert", "tests": "assert add(1, 2) == 3\nassert add(0, 5) == 5",
      "entry_point": "add"}, ADD),
    ({"kind": "assert", "tests": ADDING["test"] + "\ncheck(add)", "entry_point": "add"}, ADD),
    ({"kind": "stdin", "cases": [{"in": "1 2\n", "out": "3\n"}, {"in": "3 4\n", "out": "7\n"}]},
     SUM),
    (PAIRS, SUM),
    ({"input_output": json.dumps(PAIRS)}, SUM),
    ({"inputs": [["1 2"], ["3 4"]], "outputs": [["3"], ["7"]]}, SUM),  # TACO: lists of lines
    ({"public_tests": TABLE, "private_tests": {"input": [], "output": []}}, SUM),
    ({"official_tests": CASES}, SUM),
    (CASES, SUM),
    ({"public_test_cases": json.dumps(CASES)}, SUM),
    ([{"input": "1 2\n", "outputs": ["4\n", "3\n"]}], SUM),  # several are right
    ({"fn_name": "add", "inputs": [[1, 2], [0, 5]], "outputs": [[3], [5]]}, ADD),
    ({"fn_name": "add", "inputs": [[10**30, 1]], "outputs": [10**30 + 1]}, ADD),
    ({"fn_name": "add", "inputs": [[1, [2]], [0, [5]]], "outputs": [3, 5]}, METHOD),
    ({"metadata": "{\"func_name\": \"add\"}", "test_cases": [{"input": "1\n[2]", "output": "3"},
      {"input": "0\n[5]", "output": "5"}]}, METHOD),
    ({**ADDING, "entry_point": "Solution().add", "prompt": "from typing import *\n"},
     METHOD.replace("[0]", "").replace("List[int]", "int")),
]  # fmt: skip


@needs_jail
@pytest.mark.parametrize(("gold", "source"), SHAPES)
def test_every_shape_of_a_reference_tells_right_from_wrong(gold: Any, source: str) -> None:
    assert says(gold, source).label == "correct"
    wrong = source.replace("a + b", "a - b")
    assert wrong != source
    assert (says(gold, wrong).label, says(gold, wrong).answer is None) == ("wrong", False)


@pytest.mark.parametrize(
    ("gold", "method"),
    [
        ("", "no_gold"),
        ("42", "unreadable_gold"),
        ("{", "unreadable_gold"),
        ("{}", "unreadable_gold"),
        ("[]", "unreadable_gold"),
        ('{"test": 1, "entry_point": "f"}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": []}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": ["  "]}', "no_tests"),  # any silent program
        ('{"inputs": ["1"], "outputs": ["2"], "tolerance": 1e999}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": ["2"], "tolerance": 1}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": ["2"], "tolerance": true}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": ["2"], "tolerance": NaN}', "unreadable_gold"),
        ('{"inputs": ["1"], "outputs": ["2"], "tolerance": 1' + "0" * 400 + "}", "unreadable_gold"),
        (
            '{"inputs": ["1"], "outputs": ["2"], "tolerance": 1' + "0" * 5000 + "}",
            "unreadable_gold",
        ),
        ('[{"input": "1", "output": "2"}, {"input": "2", "output": []}]', "unreadable_gold"),
        ('["assert f(1) =="]', "no_tests"),
        ("[" * 100_000, "unreadable_gold"),
        ('{"tests": ' * 900 + "[]" + "}" * 900, "unreadable_gold"),
        (json.dumps(["assert f(1) == " + "1 + " * 5_000 + "1"]), "no_tests"),
        ('["assert True"]', "no_tests"),
        ('["assert f(1) == f(1)"]', "no_tests"),  # always true
        ('["assert f(1) == 1 or True"]', "no_tests"),
        ('{"test": "def check(candidate):\\n    pass", "entry_point": "f"}', "unreadable_gold"),
        ('{"test": "def check(f):\\n    assert 1", "entry_point": "f"}', "no_tests"),
    ],
)
def test_a_reference_without_tests_makes_nothing_right_or_wrong(gold: str, method: str) -> None:
    verdict = grade(gold, block("def f(x):\n    return x"), kind="code")
    assert (verdict.label, verdict.method) == ("unverifiable", method)
    assert own_verdicts([(gold, "code")])[0].label == "unverifiable"


@needs_jail
@pytest.mark.parametrize(
    ("test", "method"),
    [
        ("for n in range(3): assert f(n) != f", "weak_tests"),  # anything passes
        ("for n in range(3): assert n < 3", "no_tests"),  # never calls it
        ("for n in range(3): assert f(n) == oracle(n)", "broken_tests"),
        ("import numpy\nfor n in range(3): assert f(n) == numpy.abs(n)", "broken_tests"),
    ],
)
def test_tests_that_prove_nothing_are_not_believed(test: str, method: str) -> None:
    gold = {"test": f"def check(f):\n    pass\n{test}", "entry_point": "f"}
    verdict = says(gold, "def f(x):\n    return x")
    assert (verdict.label, verdict.method) == ("unverifiable", method)


# --- how programs end ---

ENDS = [
    ("def f(x):\n    return x", "correct", "tests"),
    ("def f(x):\n    return float(x)", "correct", "tests"),  # as for Python's ==
    ("def f(x):\n    return [x]", "wrong", "value"),
    ("def f(x):\n    return 1 // 0", "wrong", "raised"),
    ("def f(x):\n    return x\nraise ValueError", "wrong", "raised"),
    ("def f(x):\n    return f(x)", "wrong", "raised"),
    ("def f(x):\n    import os; os._exit(0)", "wrong", "died"),
    ("def f(x):\n    while True: pass", "timeout", "killed"),
    ("def f(x):\n    import time; time.sleep(60)", "timeout", "killed"),
    ("def f(x):\n    while x > 1: pass\n    return 7", "wrong", "value"),  # the first was in time
    ("def f(x):\n    return bytearray(1 << 40)", "timeout", "memory"),
    ("def f(x):\n    return range(x)", "unverifiable", "opaque_value"),
    ("def f(x):\n    return f", "unverifiable", "opaque_value"),
    ("import torch\ndef f(x):\n    return x", "unverifiable", "missing_module"),
    ("def f(x):\n    raise ImportError", "wrong", "raised"),
    ("def f(x)\n    return x", "wrong", "syntax_error"),
    ("def g(x):\n    return x", "wrong", "no_entry_point"),
    ("x = 'no \\d warning'\ndef f(x):\n    return x", "correct", "tests"),
    ("def f(x):\n    return x\nif __name__ == '__main__':\n    f(input())", "correct", "tests"),
]  # fmt: skip


@needs_jail
@pytest.mark.parametrize(("source", "label", "method"), ENDS)
def test_each_end_of_a_program_has_its_label(source: str, label: str, method: str) -> None:
    verdict = says(["assert f(1) == 1", "assert f(2) == 2"], source, timeout_s=1.0)
    assert (verdict.label, verdict.method) == (label, method)


@needs_jail
@pytest.mark.parametrize(
    ("source", "label", "method"),
    [
        ("print(input()[::-1])", "correct", "tests"),
        ("print(input()[::-1], end='')", "correct", "tests"),
        ("import sys; print(sys.stdin.read()[::-1].strip()); sys.exit()", "correct", "tests"),
        ("print(input()[::-1][:-1])", "wrong", "output"),  # a prefix
        ("print(input()[::-1]); print('more')", "wrong", "output"),
        ("print('cba')", "wrong", "output"),  # the first input alone
        ("print(input()[::-1].upper())", "unverifiable", "letter_case"),
        ("print(*input()[::-1], sep='')\nprint()", "correct", "tests"),
        ("print('x' * 50_000_000)", "wrong", "flooded"),
        ("input(); input()", "wrong", "raised"),
        ("while True: pass", "timeout", "killed"),
        ("import os; os._exit(3)", "wrong", "died"),
    ],
)
def test_what_a_script_writes_is_compared_whole(source: str, label: str, method: str) -> None:
    verdict = says({"inputs": ["abc", "xyz"], "outputs": ["cba", "zyx"]}, source, timeout_s=1.0)
    assert (verdict.label, verdict.method) == (label, method)


@needs_jail
def test_another_output_is_not_wrong_where_a_checker_decides() -> None:
    gold = {"official_tests": CASES, "generated_checker": "def check(): ..."}
    assert says(gold, SUM).label == "correct"
    assert says(gold, "print(8)").method == "checker"


@needs_jail
def test_what_plain_types_are_derived_from_is_what_they_hold() -> None:
    gold = ["assert f('abca') == {'a': 2, 'b': 1, 'c': 1}"]
    counter = "from collections import Counter as f"
    liar = "class f(dict):\n    def __eq__(self, other): return True\n    __hash__ = None"
    assert [says(gold, one).label for one in (counter, liar)] == ["correct", "wrong"]
    point = "from collections import namedtuple\ndef f(x):\n    return namedtuple('P', 'x')(x)"
    assert says(["assert f(1) == (1,)"], point).label == "correct"


@needs_jail
def test_a_change_of_an_argument_is_neither_right_nor_wrong_to_a_tester() -> None:
    check = (
        "def check(f):\n    x = [2, 1]\n    f(x)\n    assert x == [1, 2]\n    assert f([1]) is None"
    )
    gold = {"test": check, "entry_point": "f"}
    verdict = says(gold, "def f(x):\n    x.sort()")
    assert (verdict.label, verdict.method) == ("unverifiable", "changed_arguments")
    assert says(gold, "def f(x):\n    return sorted(x)").label == "wrong"
    for change in ("x.sort(); return x", "x.sort(); raise ValueError"):
        verdict = says({**gold, "test": KEEPS}, f"def f(x):\n    {change}")
        assert (verdict.label, verdict.method) == ("unverifiable", "changed_arguments")
    assert says({**gold, "test": KEEPS}, "def f(x):\n    return sorted(x)").label == "correct"


KEEPS = """def check(f):
    x = [2, 1]
    try:
        assert f(x) == [1, 2]
    except ValueError:
        pass
    assert x == [2, 1]
"""


@needs_jail
@pytest.mark.parametrize(
    ("test", "method"),
    [
        ("x = [1]; assert f(x) is not x", "same_object"),
        ("x = [1]; assert id(f(x)) != id(x)", "same_object"),
        ("x = [1]; assert not operator.is_(f(x), x)", "same_object"),
        ("with redirect_stdout(out): assert f([1]) == [1]", "side_effects"),
        ("assert f([1]) == [1] and f.__doc__", "side_effects"),
        ("x = f([1]); assert type(x) is list and x is not None and x == [1]", "tests"),
    ],
)
def test_tests_of_what_no_copy_can_show_decide_nothing(test: str, method: str) -> None:
    gold = {"test": f"def check(f):\n    {test}\n    for y in (): assert y", "entry_point": "f"}
    for source in ("def f(x):\n    return x", "def f(x):\n    return list(x)"):
        verdict = says(gold, source)
        assert verdict.label == ("correct" if method == "tests" else "unverifiable")
        assert verdict.method == method


@needs_jail
def test_a_program_that_leaves_has_not_raised_an_error_for_tests_to_catch() -> None:
    test = "def check(f):\n    assert f(1) == 1\n    try:\n        f(-1)\n        assert 0\n{0}"
    source = "import sys\ndef f(x):\n    return x if x > 0 else sys.exit(1)"
    for rest in ("    except Exception:\n        pass\n", "    except SystemExit:\n        pass\n"):
        verdict = says({"test": test.format(rest), "entry_point": "f"}, source)
        assert (verdict.label, verdict.method) == ("unverifiable", "exception")
    raises = source.replace("sys.exit(1)", "[][0]")
    gold = {"test": test.format("    except Exception:\n        pass\n"), "entry_point": "f"}
    assert says(gold, raises).label == "correct"


@needs_jail
@pytest.mark.parametrize(
    ("test", "value", "label", "method"),
    [
        ("set(f(1)) == {1}", "[n * (2**61 - 1) for n in range(99)]", "unverifiable", "too_large"),
        ("dict(f(1)) == {1: 1}", "[(n * (2**61 - 1), 1) for n in range(99)]", "unverifiable",
         "too_large"),
        ("sum(f(1)) == 1", "[1 << 20_000]", "unverifiable", "too_large"),
        ("round(f(1), f(1)) == 1", "-10**9", "unverifiable", "too_large"),
        ("str(f(1)) == '1'", "10**5000", "wrong", "value"),
        ("set(f(1)) == {1, 2}", "[1, 2] * 99", "correct", "tests"),
        ("dict(f(1), b=2) == {'a': 1, 'b': 2}", "[('a', 0), ('a', 1)]", "correct", "tests"),
        ("sum(f(1), 1) == sum(f(1), start=1) == 4", "[1, 2]", "correct", "tests"),
        ("sorted(f(1), key=len) == ['b', 'aa']", "['aa', 'b']", "correct", "tests"),
        ("type(f(1)) is set and isinstance(f(1), (set, dict))", "{1}", "correct", "tests"),
        ("f(1) == 0x1" + "0" * 5000, "16**5000", "correct", "tests"),
    ],
)  # fmt: skip
def test_a_result_cannot_keep_the_host_busy(test: str, value: str, label: str, method: str) -> None:
    verdict = says([f"assert {test}"], f"def f(x):\n    return {value} if x == 1 else x")
    assert (verdict.label, verdict.method) == (label, method)


@needs_jail
def test_a_result_that_ends_a_comparison_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gold = json.dumps({"fn_name": "f", "inputs": [[1]], "outputs": [{"1": 2, "null": 3}]})
    values = ("{10**5000: 2}", "{1: 2, '1': 2, 'null': 3}", "{1: 2, None: 3}")
    items = [(gold, block(f"def f(x):\n    return x == 1 and {value}")) for value in values]
    assert [v.label for v in check_all(items)] == ["wrong", "wrong", "correct"]

    def broken(jails: Jails, tests: Suite, source: str, *, timeout_s: float) -> Finding:
        if "5000" in source:
            raise OverflowError
        return judge_calls(jails, tests, source, timeout_s=timeout_s)

    monkeypatch.setattr(check, "judge_calls", broken)
    found = [(v.label, v.method) for v in check_all(items)]
    assert found[0] == ("unverifiable", "undecided")
    assert found[1:] == [("wrong", "value"), ("correct", "tests")]


@needs_jail
@pytest.mark.parametrize("prompt", ["Write a function.", "Sort", "f", "one, two", ""])
def test_a_prompt_in_words_is_no_part_of_a_program(prompt: str) -> None:
    gold = {"prompt": prompt, "test_list": ["assert f(1) == 1"], "code": " def f(x): return 1"}
    assert says(gold, "def f(x): return 1").label == "correct"
    whole = json.dumps(gold)
    assert check_all([(whole, str(own_answer(whole)))])[0].label == "correct"


TRIES = "try:\n    f(-1)\n    assert False\nexcept ValueError as e:\n    assert {0}"


@needs_jail
@pytest.mark.parametrize(
    ("test", "error", "label", "method"),
    [
        ("True", "ValueError", "correct", "tests"),
        ("True", "type('Own', (ValueError,), {})", "correct", "tests"),
        ("True", "TypeError", "wrong", "raised"),
        ("True", "b'\\xff'.decode() or", "unverifiable", "exception"),
        ("str(e) == 'no'", "ValueError", "unverifiable", "exception"),  # the text stays inside
    ],
)
def test_an_error_is_known_to_a_tester_by_its_built_in_type(
    test: str, error: str, label: str, method: str
) -> None:
    source = f"def f(x):\n    if x < 0:\n        raise {error}('no')\n    return x"
    verdict = says([TRIES.format(test), "assert f(1) == 1"], source)
    assert (verdict.label, verdict.method) == (label, method)


@needs_jail
def test_a_verdict_says_which_test_failed() -> None:
    source = "def f(x):\n    return 1"
    assert says(["assert f(1) == 1", "assert f(2) == 2"], source).detail == "f(2) == 2"
    loop = {"test": "def test_all():\n    for n in (1, 2):\n        assert f(n) == n"}
    assert "f(n) == n" in says({**loop, "entry_point": "f"}, source).detail
    assert says({"inputs": ["", ""], "outputs": ["1", "2"]}, "print(1)").detail == "input 2: '1\\n'"


@needs_jail
def test_the_tests_are_nowhere_that_a_program_could_look() -> None:
    secret = 7_411_953
    spy = f"""
import gc, hashlib, re, sys
def f(x):
    if x == 2:
        return 2
    seen = [repr(one) for one in gc.get_objects()]
    frame = sys._getframe()
    while frame:
        seen += [repr(frame.f_locals), repr(frame.f_globals)]
        frame = frame.f_back
    seen += [open("/proc/self/" + name).read() for name in ("cmdline", "environ")]
    seen.append(str(x))
    numbers = {{found for text in seen for found in re.findall(r"[0-9]{{7}}", text)}}
    hashes = {{hashlib.sha256(one.encode()).hexdigest() for one in numbers}}
    return "{sha256(str(secret).encode()).hexdigest()}" in hashes
"""
    gold = [f"assert f(1) is False or f(1) == {secret}", "assert f(2) == 2"]
    assert says(gold, spy).label == "correct"
    assert says([*gold, f"assert f({secret}) is True"], spy).label == "correct"  # it does look


@needs_jail
@pytest.mark.parametrize("how", [Isolation(paranoid=True), Isolation(unsafe_no_sandbox=True)])
def test_a_fresh_jail_and_none_say_the_same(how: Isolation) -> None:
    gold = json.dumps(["assert f(1) == 1", "for n in (1, 2): assert f(n) == n"])
    sources = ("def f(x): return x", "def f(x): return 1", "def f(x): exit()")
    items = [Item(gold, block(source), "code") for source in sources]
    found = grade_all(items, workers=2, isolation=how)
    assert [v.label for v in found] == ["correct", "wrong", "wrong"]
    marked = {v.detail.startswith("unsafe_no_sandbox") for v in found}
    assert marked == {how.unsafe_no_sandbox}


# --- what is taken from a response ---

F = "def f(x):\n    return x"
RESPONSES = [
    (block(F), "block"),
    (f"```\n{F}\n```", "block"),
    (f"```Python3\n{F}\n```", "block"),
    (f"~~~py\n{F}\n~~~", "block"),
    (f"- first:\n  ```python\n  {F.replace(chr(10), chr(10) + '  ')}\n  ```", "block"),
    (f"```python\n{F}", "block"),  # never closed, and whole
    (block("def f(x):\n    return 0") + block(F), "block"),  # the last one
    (block(F) + "\nUse it so:\n```python\nprint(f(3))\n```", "block"),
    (block(F) + "\n```bash\npython f.py\n```\n```\n3\n```", "block"),
    (block("f = lambda x: x"), "block"),
    (F, "whole"),
    ("    return x\n", "completion"),
    ("```python\n    return x\n```", "completion"),
    ("```python\nreturn x\n```", "completion"),
    ("```python\ny = x\nreturn y\n```", "completion"),
    ("for y in (x,):\n        z = y\n    return z", "completion"),  # a server cut its indent off
    ("if x:\n    return x", "completion"),
    ("Done", None),
    ("    return x\n\nprint(f(1))\nThat is all.", "completion"),
    (f"```cpp\n{F}\n```", None),
    ("```python\ndef f(x", None),  # cut off
    ("I cannot do that.", None),
    ("", None),
]


@pytest.mark.parametrize(("response", "place"), RESPONSES)
def test_the_program_of_a_response_is_found(response: str, place: str | None) -> None:
    prompt = "import math\n\ndef f(x):\n    '''The same.'''\n"
    found = program(response, entry="f", prompt=prompt, before="import math\n")
    assert (found and (found.place, found.fault)) == (place and (place, ""))
    if found is not None:
        space: dict[str, Any] = {}
        exec(found.source, space)
        assert (space["f"](3), "math" in space) == (3, True)


def test_a_program_that_reads_input_is_told_from_examples() -> None:
    example = "```\n5\n1 2\n```\n"
    other = "```python\nimport math\n```\n"
    for response in (example + block(SUM) + example, block(SUM) + other, other + block(SUM)):
        found = program(response, entry=None)
        assert found is not None
        assert found.source.strip() == SUM
    assert program(example, entry=None) is None


@given(
    st.text(), st.text(), st.lists(st.sampled_from(["x = 1", "import os", "# a", "s = '''\n'''"]))
)
def test_a_fenced_program_is_found_whatever_stands_around_it(
    before: str, after: str, lines: list[str]
) -> None:
    source = "\n".join([*lines, F])
    text = before.replace("`", "").replace("~", "") + f"\n```python\n{source}\n```\n"
    found = program(text + after.replace("`", "").replace("~", ""), entry="f")
    assert found is not None
    assert found.source.strip() == source.strip()


@given(st.text(alphabet="`~ \n\r\tdef(x):=#'\"\\python\x00\ud800é", max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [program(text, entry="f", prompt="def f(x):\n"), program(text, entry=None)]
        found.append(script(text))
        taken = [one.source for one in found if one and one.place == "block"]
        marked = [dedent(one.text) for one in fenced(text)]
        assert all(dedent(source) in marked for source in taken)
        assert read_gold(text) is None  # no JSON can be made of these letters
        tree(text)


KEYS = st.sampled_from(
    [*SOLUTIONS, *ASSERTS, *SETUPS, *NESTED, *INPUTS, *OUTPUTS, *NAMES, *CHECKERS, *TOLERANCES,
     "test", "entry_point", "prompt", "metadata"]
)  # fmt: skip
LEAVES = st.sampled_from(
    [None, True, 0, 1.5, "", "1 2", "[]", "{}", "[1]", '["assert f(1) == 1"]', "f", "assert f(1)"]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(JSON)
def test_any_json_is_a_reference_or_none_and_no_error(value: Any) -> None:
    gold = json.dumps(value)
    read = read_gold(gold)
    assert suite(gold) is None or read is not None
    assert own_answer(gold)


@pytest.mark.parametrize(
    "source", ["(" * 5_000, "-" * 100_000 + "1", "x" * 300_000, "a.b" * 40_000, "[" * 90 + "]" * 90]
)
def test_a_program_too_deep_to_read_ends_nothing(source: str) -> None:
    verdict = check_all([('["assert f(1) == 1"]', source)])[0] if jailed() else None
    assert verdict is None or verdict.label in ("no_answer", "wrong")


# --- asserts, decided out here as Python would ---

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 2.0, "a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)
FORMS = [
    "f(1) == {0!r}", "f(1) != {0!r}", "{0!r} == f(1)", "f(1)", "not f(1)", "f(1) is None",
    "f(1) is not True", "f(1) == {0!r} and f(2) == {1!r}", "f(1) == {0!r} or f(2)",
    "f(1) in [{0!r}, {1!r}]", "set(f(1)) == set({0!r})", "sorted(f(1)) == sorted({0!r})",
    "len(f(1)) == len({0!r})", "abs(f(1) - {0!r}) < 1e-6", "f(1) == f(2)", "list(f(1)) == {0!r}",
    "round(f(1), 2) == {0!r}", "isinstance(f(1), (int, str))", "type(f(1)) == type({0!r})",
    "f(1) + {0!r} == {1!r}", "f(1) - 1 == {0!r}", "-f(1) == {0!r}", "0 <= f(1) < 2",
    "(f(1), 1) == ({0!r}, 1)", "math.isclose(f(1), {0!r}, rel_tol=0.1)", "f(1) / 2 == 2 ** 1 / 2",
    "f(1) == 2 ** 100 - (2 ** 100 - 2)", "f(1) == ['a'] * 2", "f(1) == 7 % 5",
]  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from(FORMS), VALUES, VALUES, VALUES, VALUES)
def test_an_assert_holds_here_exactly_when_it_holds_in_python(
    form: str, first: Any, second: Any, one: Any, two: Any
) -> None:
    text = "assert " + form.format(first, second)
    statement = ast.parse(text).body[0]
    assert isinstance(statement, ast.Assert)
    made = claim(statement, frozenset({"f"}))
    found = {1: one, 2: two}
    arguments = [ast.literal_eval(call.args[0]) for call in made.calls]
    try:
        exec(text, {"f": found.__getitem__, "math": math})
        truth = True
    except (AssertionError, TypeError, ValueError, ArithmeticError):
        truth = False
    said = made.met([found[argument] for argument in arguments])
    assert said == truth


@pytest.mark.parametrize(
    "text",
    ["all(g(x) for x in f(1))", "f(1) * 2 == 4", "f(1) ** 2 == 4", "f(1) % 2 == 0",
     "f(1) == 2 ** 10 ** 9", "f(1) == [0] * 10 ** 9", "f(1) == '%999999999d' % 1", "f(1).x == 2",
     "f(1)[0] == 2", "f(1) @ 2", "g(f(1))", "f(1) == x", "f(1) is 'a'", "[y for y in f(1)] == [1]",
     "eval(f(1))", "(lambda: f(1))()"],
)  # fmt: skip
def test_whatever_else_an_assert_says_is_left_to_a_tester(text: str) -> None:
    statement = ast.parse("assert " + text).body[0]
    assert isinstance(statement, ast.Assert)
    with pytest.raises(NotPlain):
        claim(statement, frozenset({"f"}))


def test_what_is_expected_is_not_in_what_a_jail_gets() -> None:
    tests = suite('["assert f(1, k=[2]) == 31337", "assert f(Pair(3)) == 31338"]')
    assert isinstance(tests, Suite)
    sent = [decode(call.arguments) for test in tests.tests for call in test.calls]
    assert sent == [([1], {"k": [2]}), ([], {})]
    assert "f(Pair(3))" in tests.after
    assert "3133" not in tests.after
    assert [test.met([31337]) for test in tests.tests] == [True, False]


@pytest.mark.parametrize(
    ("found", "wanted", "tolerance", "said"),
    [
        ("1 2\n3\n", "1 2\n3", None, None),
        ("1 2  \n3\n\n\n", "1 2\n3\n", None, None),
        ("1 2\r\n3\r\n", "1 2\n3\n", None, None),
        ("1\n2\n3\n", "1 2\n3\n", None, "layout"),
        (" 1 2\n3\n", "1 2\n3\n", None, "layout"),
        ("1 2\n", "1 2\n3\n", None, "value"),
        ("1 2\n3\n4\n", "1 2\n3\n", None, "value"),
        ("", "1", None, "value"),
        ("yes", "YES", None, "letter_case"),
        ("0.3333333", "0.33333333", None, "rounding"),
        ("1.0", "1", None, "rounding"),
        ("0.34", "0.33", None, "value"),
        ("0.34", "0.33", 0.05, None),
        ("nan", "1.0", 0.5, "value"),
        ("1e999", "1.0", 0.5, "value"),
        ("２.５", "2.5", 1e-6, "value"),
        ("0_2.5", "2.5", 1e-6, "value"),
        ("2.5\u2003", "2.5", 1e-6, "value"),
        ("+2.50e0", "2.5", 1e-6, None),
        ("1000000007", "1000000008", 1e-6, "value"),  # whole numbers have no tolerance
    ],
)
def test_outputs_are_the_same_or_certainly_not_or_neither(
    found: str, wanted: str, tolerance: float | None, said: str | None
) -> None:
    assert difference(found, wanted, tolerance) == said


# --- the commands ---


def recipe(folder: Path, gold: Any, url: str = "http://127.0.0.1:1/v1", **values: Any) -> str:
    line = {"question": "Write f.", "gold": json.dumps(gold)}
    (folder / "set.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (folder / "plain.jinja").write_text("{{ question }}", encoding="utf-8")
    whole = {
        "problems": {"file": "set.jsonl"},
        "domain": "code",
        "verify": "code",
        "template": "plain.jinja",
        "teacher": {"base_url": url, "model": "m"},
        "sampling": {"max_tokens": 64},
    } | values
    path = folder / "code.yaml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return str(path)


def one(folder: Path, gold: Any) -> tuple[int, list[LeftOut]]:
    """How many problems are left of one, and what was left out."""
    noted: list[LeftOut] = []
    try:
        tables = list(
            problem_set(load(recipe(folder, gold), PromptsRecipe)).tables(note=noted.append)
        )
    except UserError:
        tables = []
    return sum(table.height for table in tables), noted


@needs_jail
def test_a_reference_that_fails_its_own_tests_is_not_asked(tmp_path: Path) -> None:
    tests = ["assert f(1) == 1", "assert f(2) == 2"]
    assert one(tmp_path, {"test_list": tests, "code": F})[0] == 1
    assert one(tmp_path, {"test_list": tests})[0] == 1  # nothing to try them with
    count, noted = one(tmp_path, {"test_list": tests, "code": "def f(x): return 1"})
    assert (count, noted[0].reason) == (0, "uncheckable_gold:wrong/value")
    count, noted = one(tmp_path, {"test_list": []})
    assert (count, noted[0].reason) == (0, "uncheckable_gold:unverifiable/unreadable_gold")


@needs_jail
@pytest.mark.parametrize(("name", "rows"), [("eval/humaneval", HUMANEVAL), ("mbpp", MBPP)])
def test_the_shipped_recipes_make_golds_of_their_columns(
    name: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    noted: list[LeftOut] = []
    found = problem_set(load(name, PromptsRecipe, [f"problems.file={tmp_path / 'set.jsonl'}"]))
    assert sum(table.height for table in found.tables(note=noted.append)) == len(rows)
    assert noted == []


def test_a_gold_of_columns_says_which_column_is_not_there(tmp_path: Path) -> None:
    problems = {"file": "set.jsonl", "map": {"gold": ["question", "tests"]}}
    path = recipe(tmp_path, [], problems=problems)
    with pytest.raises(UserError, match=r"problems\.map\.gold: .* not there: tests"):
        list(problem_set(load(path, PromptsRecipe)).tables())
    for part, value in (("question", ["gold"]), ("gold", [])):
        broken = recipe(tmp_path, [], problems={"file": "set.jsonl", "map": {part: value}})
        with pytest.raises(UserError, match="only a gold may be a list"):
            load(broken, PromptsRecipe)


@needs_jail
@pytest.mark.parametrize("unsafe", [False, True])
def test_asking_stops_at_programs_that_pass(tmp_path: Path, unsafe: bool) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return completion(block(F if n == 3 else "def f(x): return 1"))

    tests = ["assert f(1) == 1", "assert f(2) == 2"]
    with teacher_server(answer) as server:
        name = recipe(tmp_path, tests, server.url, until={"correct": 1, "at_most": 8})
        done = distill.generate(name, out=tmp_path / "run", unsafe_no_sandbox=unsafe)
        assert (done, len(server.bodies)) == (Exit.DONE, 3)


@needs_jail
@pytest.mark.parametrize("unsafe", [False, True])
def test_scores_say_when_there_was_no_sandbox(tmp_path: Path, unsafe: bool) -> None:
    with teacher_server(lambda body, n: completion(block(F))) as server:
        name = recipe(
            tmp_path,
            ["assert f(1) == 1", "assert f(2) == 2"],
            teacher=None,
            serve={"engine": "transformers"},
        )
        model, out = f"{server.url}#m", tmp_path / "out"
        assert distill.eval(name, model=model, out=out, unsafe_no_sandbox=unsafe) == Exit.DONE
    scores = read_json(tmp_path / "out/scores.json")
    assert scores["benchmarks"]["code"]["labels"] == {"correct": 1}
    assert scores.get("unsafe_no_sandbox", False) is unsafe


@pytest.mark.parametrize("command", ["generate", "eval"])
def test_without_a_jail_nothing_is_asked(tmp_path: Path, command: str) -> None:
    """With a bubblewrap that cannot make one: as on a machine that forbids user namespaces."""
    with teacher_server() as server:
        where = {"teacher": None, "serve": {"engine": "transformers"}} if command == "eval" else {}
        name = recipe(tmp_path, ["assert f(1) == 1"], server.url, **where)
        words = ["--model", f"{server.url}#m"] if command == "eval" else []
        code = (
            "import sys; from distill.jail import probe; probe.installed = list; "
            "from distill.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, command, name, "-o", str(tmp_path / "run"), *words],
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."},
            cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert (done.returncode, server.bodies) == (Exit.USER, [])
    assert "bubblewrap" in done.stderr
    assert "--unsafe-no-sandbox" in done.stderr
    assert not (tmp_path / "run").exists()
