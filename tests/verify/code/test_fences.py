"""Which program a response holds where fences, marks, spaces or prompts are not as they should."""

import json
import time
from collections.abc import Iterator

import pytest

from distill.verify.code import check_all
from distill.verify.code.fences import blocks
from distill.verify.code.response import program
from distill.verify.workers.threads import PROGRAM_THREADS
from tests.builders.jails import needs_jail


@pytest.fixture(scope="module", autouse=True)
def _no_jail_stays() -> Iterator[None]:
    yield
    PROGRAM_THREADS.close()


ASSERTS = json.dumps({"test_list": ["assert f(2) == 4", "assert f(3) == 9"]})
INPUTS = json.dumps({"kind": "stdin", "cases": [{"in": "3\n", "out": "9\n"}]})
PROMPT = json.dumps({
    "prompt": 'def f(x):\n    """Square."""\n',
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(candidate(3)) == 81\n",
})  # fmt: skip
CODE = "def f(x):\n    return x * x\n"
SCRIPT = "n = int(input())\nprint(n * n)\n"
DOC = (
    'def f(x):\n    """Square.\n\n    ```python\n    f(2)\n    ```\n    and\n    ```\n    f(3)\n'
    '    ```\n    """\n    return x * x\n'
)
TEXT = "T = '''\n```\nabc\n```\n'''\n" + CODE
RIGHT = {
    "closing fence only": CODE + "```",
    "closing fence, then words": CODE + "```\n\nThis squares x.",
    "words before": "Here it is:\n\nimport math\n\n" + CODE + "```\n",
    "words before and after": "The function:\n\n" + CODE + "```\n\nIt is fast.",
    "mark without fence": "python\n" + CODE + "```",
    "then an example": CODE + "```\n\nExample:\n```python\nprint(f(2))\n```\n",
    "then its output": CODE + "```\n\nOutput:\n```\n4\n```\n",
    "tilde": CODE + "~~~\n",
    "indented": CODE + "    ```\n",
    "at the end of a line": CODE.rstrip() + "```",
    "opened, closed at the end of a line": "```python\n" + CODE.rstrip() + "```",
    "opened at the end of a line": "Here:```python\n" + CODE + "```",
    "fences in a docstring": "```python\n" + DOC + "```\n",
    "fences in a docstring, unmarked": "So:\n```\n" + DOC + "```\nDone.",
    "fences in a docstring, unclosed": "```python\n" + DOC,
    "fences in a docstring, without any other": DOC,
    "fences in a docstring, closed only": DOC + "```\n",
    "fences in a docstring, between tildes": "~~~python\n" + DOC + "~~~\n",
    "fences in a docstring, then an example": "```python\n" + DOC + "```\nSo:\n```\nf(3)\n```\n",
    "fences in a text": "```python\n" + TEXT + "```\n",
    "fences in a text, unclosed": "```python\n" + TEXT,
    "a session": "```pycon\n>>> def f(x):\n...     return x * x\n...\n>>> f(2)\n4\n```\n",
    "a session marked python": "```python\n>>> def f(x):\n...     return x * x\n>>> f(2)\n4\n```",
    "a notebook": "```ipython\nIn [1]: def f(x):\n   ...:     return x * x\n   ...:\n\n"
    "In [2]: f(2)\nOut[2]: 4\n```\n",
    "a notebook's command": "```ipython\n%matplotlib inline\n" + CODE + "```\n",
    "then a session": "```python\n" + CODE + "```\n```pycon\n>>> f(2)\n4\n```\n",
    "byte order mark first": "\ufeff```python\n" + CODE + "```\n",
    "byte order mark in the block": "```python\n\ufeff" + CODE + "```\n",
    "no-break spaces": "```python\n" + CODE.replace(" ", "\xa0") + "```\n",
    "no-break spaces without a fence": CODE.replace("    ", "\xa0" * 4),
    "ideographic spaces": "```python\n" + CODE.replace("    ", "\u3000\u3000") + "```\n",
    "zero width": "```python\n" + CODE.replace("return", "\u200breturn") + "```\n",
    "carriage returns": ("```python\n" + CODE + "```\n").replace("\n", "\r"),
}
MARKS = (
    "ipython",
    "ipython3",
    "py3",
    "python3.11",
    "Python 3",
    "pypy3",
    "{python}",
    "{.python .numberLines}",
    "python:f.py",
    "py,editable",
    "python title='a'",
    "code",
)
MORE_STACK = (
    "(resource.RLIM_INFINITY, resource.RLIM_INFINITY)",
    "(2**29, -1)",
    "[10**9, 10**9]",
    "(2**29, resource.getrlimit(resource.RLIMIT_STACK)[1])",
)


def labels(*items: tuple[str, str]) -> list[str]:
    return [f"{one.label} {one.method}" for one in check_all(items)]


@needs_jail
def test_the_program_of_an_honest_answer_is_found() -> None:
    found = labels(*((ASSERTS, response) for response in RIGHT.values()))
    assert dict(zip(RIGHT, found, strict=True)) == dict.fromkeys(RIGHT, "correct tests")


@needs_jail
def test_every_usual_mark_of_python_counts() -> None:
    found = labels(*((ASSERTS, f"```{mark}\n{CODE}```\n") for mark in MARKS))
    assert dict(zip(MARKS, found, strict=True)) == dict.fromkeys(MARKS, "correct tests")


@needs_jail
def test_a_wrong_program_is_wrong_in_every_such_place() -> None:
    found = labels(*((ASSERTS, one.replace("return", "return 1 +")) for one in RIGHT.values()))
    assert dict(zip(RIGHT, found, strict=True)) == dict.fromkeys(RIGHT, "wrong value")


@needs_jail
def test_a_program_that_reads_input_is_found_before_a_lost_fence() -> None:
    example = "```\n```pycon\n>>> print(3 * 3)\n9\n```\n"
    answers = (SCRIPT + "```", "The program:\n\n" + SCRIPT + "```\nDone.", SCRIPT + "```\n" * 3,
               "```python\n" + SCRIPT + example, "```\n" + SCRIPT + example,
               "```python\n'''\n```\n3\n```\n'''\n" + SCRIPT + "```\n")  # fmt: skip
    assert labels(*((INPUTS, one) for one in answers)) == ["correct tests"] * len(answers)


def test_other_languages_are_found_before_a_lost_fence_and_keep_fences_in_comments() -> None:
    cpp = "#include <iostream>\nint main() { return 0; }\n"
    for response in (cpp + "```", "In C++:\n\n" + cpp + "```\nDone.", "cpp\n" + cpp + "```"):
        assert [(one.language, one.text) for one in blocks(response)] == [("cpp", cpp)]
    commented = "/*\n```\n3\n```\n*/\n" + cpp
    assert [one.text for one in blocks(f"```cpp\n{commented}```\n")] == [commented]
    spaced = next(blocks("```cpp\n" + cpp.replace(" ", "\xa0") + "```"))
    assert spaced.text == cpp
    quoted = '```cpp\nputs("\xa0");\n```'
    assert next(blocks(quoted)).text == 'puts("\xa0");\n'


@needs_jail
def test_a_continuation_before_a_lost_fence_and_a_call_within_a_call() -> None:
    answers = ("    return x * x\n```", "return x * x\n```\nok", f"```python\n{CODE}```")
    assert labels(*((PROMPT, one) for one in answers)) == ["correct tests"] * 3
    assert labels((PROMPT, "```python\ndef f(x):\n    return x\n```")) == ["wrong value"]


@needs_jail
@pytest.mark.parametrize("limits", MORE_STACK)
def test_asking_for_more_stack_is_no_mistake(limits: str) -> None:
    asked = f"import resource\nresource.setrlimit(resource.RLIMIT_STACK, {limits})\n"
    answers = ((ASSERTS, CODE), (INPUTS, SCRIPT))
    found = labels(*((gold, f"```python\n{asked}{code}```") for gold, code in answers))
    assert found == ["correct tests"] * 2


@pytest.mark.parametrize(
    ("response", "source"),
    [
        ("```python\nx = 1\n```\nor\n```python\nx = 2\n```", "x = 2\n"),
        ("So:\n```\nx = 1\n```\nand then", "x = 1\n"),
        ("x is 3\n```\nx = 1\nprint(", None),
        ("It is 3.\n```\n", None),
        ("```python\ns = '''\n```\nand\n```python\nx = 2\n```", "x = 2\n"),
    ],
)
def test_whole_fences_are_read_as_before(response: str, source: str | None) -> None:
    found = program(response, entry="x")
    assert (found.source if found else None) == source


@pytest.mark.parametrize(
    "unit", ["```\n", "```python\n'''\n", "import a\n```\n", "'''\n```\n", "x```\n"]
)
def test_many_fences_take_linear_time(unit: str) -> None:
    response = unit * (100_000 // len(unit))
    start = time.process_time()
    program(response, entry="f")
    assert time.process_time() - start < 3
