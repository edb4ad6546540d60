"""Labels that would be wrong by form alone: numbers in words, answers that a scorer cannot read."""

import json

import pytest

from distill import grade
from distill.problems.golds import own_verdicts

IN_WORDS = [
    ("7", "seven apples"),
    ("7", "siete"),
    ("12", "a dozen"),
    ("1/2", "one half"),
    ("12", "XII"),
    ("2", "both"),
    ("0", r"\text{none}"),
    ("0", "there are no solutions"),
]


@pytest.mark.parametrize(("gold", "answer"), IN_WORDS)
def test_a_number_in_other_words_is_not_called_wrong(gold: str, answer: str) -> None:
    assert grade(gold, rf"\boxed{{{answer}}}").label == "unverifiable"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (3, "three"),
        (3, r"\text{Three}"),
        (21, "twenty-one"),
        (0, "zero"),
        (105, "one hundred and five"),
        (1999, "one thousand nine hundred ninety-nine"),
    ],
)
def test_a_number_spelt_out_is_that_number(number: int, words: str) -> None:
    assert grade(str(number), rf"\boxed{{{words}}}").label == "correct"
    assert grade(str(number + 1), rf"\boxed{{{words}}}").label == "wrong"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (r"\text{Cannot be determined}", "wrong"),
        ("no solution", "wrong"),
        ("infinitely many", "wrong"),
        ("x", "wrong"),
        ("blue", "unverifiable"),  # a number in some language, for all we know
        ("mix", "unverifiable"),
    ],
)
def test_an_answer_without_any_number_is_wrong_only_if_it_is_understood(
    answer: str, label: str
) -> None:
    assert grade("3", rf"\boxed{{{answer}}}").label == label


KNIGHTS = json.dumps(
    {"task": "knights_knaves", "answer": "Ann is a sage, and Bo is a fool.", "metadata": {}}
)
SUDOKU = json.dumps(
    {
        "task": "mini_sudoku",
        "answer": "2 4 3 1\n3 1 2 4\n4 3 1 2\n1 2 4 3",
        "metadata": {"puzzle": [[2, 4, 0, 0], [0] * 4, [0] * 4, [0] * 4]},
    }
)
HOURS = json.dumps({"task": "time_intervals", "answer": "02:58", "metadata": {"task_type": "time"}})
LOCK = json.dumps({
    "task": "quantum_lock",
    "answer": "A → B",
    "metadata": {
        "initial_value": 1,
        "target_value": 5,
        "initial_state": "red",
        "solution_path": ["A", "B"],
        "buttons": [
            {"name": name, "type": "add", "value": 2, "active_state": "any"} for name in "AB"
        ],
    },
})  # fmt: skip
COST = json.dumps({
    "task": "gsm_symbolic",
    "question": "How many apples are there?",
    "answer": "57",
    "metadata": {},
})  # fmt: skip
FRACTION = json.dumps({
    "task": "fraction_simplification",
    "answer": "$\\frac{1}{2}$",
    "metadata": {"simplified_numerator": 1, "simplified_denominator": 2, "style": "latex_frac"},
})  # fmt: skip
GAME = json.dumps({
    "task": "puzzle24",
    "answer": "7*(4 - 2) + 10",
    "metadata": {"numbers": [7, 4, 2, 10]},
})  # fmt: skip
NONE = json.dumps({"task": "propositional_logic", "answer": None, "metadata": {"premises": []}})
NOT_SAID = [
    (LOCK, r"\boxed{A → B}", "correct"),
    (LOCK, "The answer is not A → B", "unverifiable"),
    (COST, r"\boxed{57 apples}", "correct"),
    (COST, "The answer is either 57 or 12", "unverifiable"),
    (COST, "I doubt that it is 57", "unverifiable"),
    (COST, "57 is not the answer.", "unverifiable"),
    (COST, r"\boxed{12, 57}", "unverifiable"),
    (COST, r"\boxed{12}", "wrong"),
    (FRACTION, r"\boxed{$\frac{1}{2}$, $\frac{1}{3}$}", "unverifiable"),
    (GAME, "The answer is (7 - 4)*(10 - 2)", "correct"),
    (GAME, "The answer is 4*(7 - 2) + 4", "unverifiable"),  # other numbers
    (KNIGHTS, "I doubt that Ann is a sage, and Bo is a fool.", "unverifiable"),
    (KNIGHTS, "The answer is not Ann is a sage, and Bo is a fool.", "unverifiable"),
    (SUDOKU, "The answer is 2 4 3 1", "unverifiable"),  # one line of the grid
]
SCORED = [
    (KNIGHTS, r"\boxed{\text{Bo is a fool, and Ann is a sage.}}", "correct"),
    (KNIGHTS, r"\boxed{Bo is a sage, and Ann is a sage.}", "wrong"),
    (KNIGHTS, r"\boxed{\begin{cases} Bo \\ Ann\end{cases}}", "unverifiable"),  # LaTeX
    (KNIGHTS, "So:\n- Bo is a fool\n- Ann is a sage", "unverifiable"),  # one line of two
    (SUDOKU, "The grid is\n2 4 3 1\n3 1 2 4\n4 3 1 2\n1 2 4 3", "unverifiable"),
    (HOURS, r"\boxed{02:57}", "wrong"),
    (HOURS, r"\boxed{02:58:00}", "correct"),
]


@pytest.mark.parametrize(("gold", "response", "label"), [*SCORED, *NOT_SAID])
def test_a_scorers_no_counts_only_for_what_it_can_read(
    gold: str, response: str, label: str
) -> None:
    pytest.importorskip("reasoning_gym")
    assert grade(gold, response, kind="reasoning_gym").label == label


def test_a_reference_without_an_answer_has_one_only_by_its_scorer() -> None:
    """``None`` as a text is no answer, and the problem is asked all the same."""
    assert grade(NONE, "None", kind="reasoning_gym").label != "correct"
    assert [one.label for one in own_verdicts([(NONE, "reasoning_gym")])] == ["correct"]
