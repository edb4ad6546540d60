"""Problems of our own in the shapes of public benchmarks: their columns, forms and oddities."""

from typing import Any

# GSM8K: the answer ends in "#### N", at times with a comma or a sign.
GSM8K = [
    {"question": question, "answer": f"{steps}\n#### {answer}"}
    for question, steps, answer in (
        ("Ada has 3 boxes of 6 pens. How many pens?", "3*6 = <<3*6=18>>18 pens.", "18"),
        ("A hall has 27 rows of 40 seats. How many seats?", "27*40 = <<27*40=1080>>1080", "1,080"),
        ("It is 4 degrees and gets 7 colder. How warm is it?", "4-7 = <<4-7=-3>>-3", "-3"),
        ("Five share 12.5 kg. How much for each?", "12.5/5 = <<12.5/5=2.5>>2.5", "2.5"),
    )
]

# MATH-500: the answer is LaTeX of many forms.
MATH = [
    {
        "problem": f"Find it, number {i}.",
        "solution": f"It is $\\boxed{{{answer}}}.$",
        "answer": answer,
    }
    for i, answer in enumerate(
        (
            r"\left( 3, \frac{\pi}{2} \right)",
            r"\frac{14}{3}",
            r"[-2, 7)",
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"3\sqrt{13}",
            r"\text{even}",
            r"x^2 - 2x + 1",
            "2,-1,0",
            r"6 + 9i",
            r"50\%",
            r"\$32{,}348",
            "11_2",
        )
    )
]


def _humaneval(name: str, head: str, solution: str, *tests: str) -> dict[str, Any]:
    checks = "".join(f"    assert {test}\n" for test in tests)
    return {
        "task_id": f"Own/{name}",
        "prompt": head,
        "entry_point": name,
        "canonical_solution": solution,
        "test": f"\n\nMETADATA = {{\n    'author': 'us'\n}}\n\n\ndef check(candidate):\n{checks}\n",
    }


# HumanEval: the solution goes on from the prompt, and a function checks what it is given.
HUMANEVAL = [
    _humaneval(
        "running_total",
        "from typing import List\n\n\ndef running_total(numbers: List[int]) -> List[int]:\n"
        '    """ The sums of all beginnings.\n    >>> running_total([1, 2, 3])\n    [1, 3, 6]\n'
        '    """\n',
        "    total, found = 0, []\n    for n in numbers:\n        total += n\n"
        "        found.append(total)\n    return found\n",
        "candidate([1, 2, 3]) == [1, 3, 6]",
        "candidate([4]) == [4]",
        "candidate([2, -2, 5, 0]) == [2, 0, 5, 5]",
    ),
    _humaneval(
        "is_leap",
        'def is_leap(year: int) -> bool:\n    """ Whether a year has a 29th of February. """\n',
        "    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)\n",
        "candidate(2024) == True",
        "candidate(2023) == False",
        "candidate(1900) == False",
        "candidate(2000) == True",
    ),
    _humaneval(
        "mean",
        "def mean(values):\n    ''' The mean of some numbers. '''\n",
        "    return sum(values) / len(values)\n",
        "abs(candidate([1.0, 2.0]) - 1.5) < 1e-6",
        "abs(candidate([1.0, 2.0, 6.0]) - 3.0) < 1e-6",
        "abs(candidate([-4.0]) + 4.0) < 1e-6",
    ),
    _humaneval(
        "mirrored",  # a helper stands in the prompt
        "def reversed_text(text: str) -> str:\n    return text[::-1]\n\n\n"
        'def mirrored(text: str) -> str:\n    """ The text and its mirror image. """\n',
        "    return text + reversed_text(text)\n",
        "candidate('ab') == 'abba'",
        "candidate('') == ''",
        "candidate('xyz') == 'xyzzyx'",
    ),
]


def _mbpp(number: int, code: str, *tests: str, setup: str = "", more: str = "") -> dict[str, Any]:
    return {
        "text": f"Write function number {number}.",
        "code": code.replace("\n", "\r\n"),
        "task_id": number,
        "test_setup_code": setup,
        "test_list": list(tests),
        "challenge_test_list": [more] if more else [],
    }


# MBPP: lines end in \r\n, asserts stand in a list, some after a setup.
MBPP = [
    _mbpp(
        601,
        "def area(base, height): \n\treturn (base * height) // 2",
        "assert area(4, 3) == 6",
        "assert area(10, 10) == 50",
        "assert area(2, 7) == 7",
        more="assert area(0, 5) == 0",
    ),
    _mbpp(
        602,
        "from collections import Counter\ndef letters(text):\n    return dict(Counter(text))",
        "assert letters('aba') == {'a': 2, 'b': 1}",
        "assert letters('x') == {'x': 1}",
        "assert letters('zzz') == {'z': 3}",
    ),
    _mbpp(
        603,
        "def ends(values):\n    return (min(values), max(values))",
        "assert ends([3, 1, 2]) == (1, 3)",
        "assert ends([5]) == (5, 5)",
        "assert ends([-1, 8]) == (-1, 8)",
    ),
    _mbpp(
        604,
        "def diagonal(side):\n    return (2 * side * side) ** 0.5",
        "assert math.isclose(diagonal(1), 1.41421, rel_tol=0.001)",
        "assert math.isclose(diagonal(3), 4.24264, rel_tol=0.001)",
        "assert math.isclose(diagonal(10), 14.1421, rel_tol=0.001)",
        setup="import math",
    ),
    _mbpp(
        605,
        "class Node:\n    def __init__(self, value):\n        self.value = value\n"
        "        self.next = None\ndef size(node):\n"
        "    return 0 if node is None else 1 + size(node.next)",
        "assert size(one) == 1",
        "assert size(two) == 2",
        "assert size(None) == 0",
        setup="one = Node(1)\ntwo = Node(2)\ntwo.next = Node(3)",
    ),
]
