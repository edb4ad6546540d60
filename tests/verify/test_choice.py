"""Multiple choice: which letters a response gives."""

import pytest

from distill.verify import grade
from tests.verify.letters import NOT_D, D

RIGHT = (
    "故选：C",
    "故选C。",
    "答案选C",
    "选C",
    "正确选项是C",
    "So C is the correct answer.",
    "I choose C.",
    "My answer: C",
    "The answer must be C",
    "Ответ: C",
    "La réponse est (C).",
    "正解はCです。",
    "(C)",
    "C. Paris",
    "C) Paris",
    "Answer: (C) Paris",
    "<answer>C</answer>",
    "<answer>(C) Paris</answer>",
    "**Final Answer**\n\nC",
    r"\boxed{C}",
    r"\boxed{\text{C. Paris}}",
    r"\boxed{(C)\ 24}",
    r"\boxed{c}",
    "A is wrong, D is wrong. The answer is C.",
    "A. Rome\nB. Bonn\nC. Paris\n\nThe answer is C.",
    "The correct answer is option C.",
    "Therefore, the correct answer is C: Paris.",
    r"The answer is $\boxed{C}$.",
    "Correct answer: C",
    "Answer is C because A is wrong and B is wrong.",
    "option (C) is right",
    "Answer: option C",
    "Answer (C)",
    "ANSWER: C",
    "**Answer: C**",
    "The best answer is C.",
    "The best choice is (C).",
    "Therefore, option (C) is the correct choice.",
    "Hence (C) is correct.",
    "I pick C",
    "We should select C.",
    "Our answer is C",
    "The answer is clearly C.",
    "因此选C",
    "所以选择C",
    "选项C正确",
    "答えはCです",
    "Правильный вариант: C",
    "La bonne réponse est C.",
    "Die richtige Antwort ist C.",
    "Richtig ist C.",
    r"\boxed{\mathrm{C}}",
    r"\boxed{C.}",
    r"\boxed{\textbf{(C)}\ 24}",
    "<answer>C.</answer>",
    "<answer>Option C</answer>",
    '{"answer": "C"}',
    "The answer is\n\n**C**",
    "Let's see: A is false; B is false; D is false.\n\nSo the answer is C.",
    "The correct answer is not A but C.",
)
NOT_C = (
    r"\boxed{A}\boxed{B}\boxed{C}",
    "C, D",
    "Option C is wrong",
    "The answer is not C.",
    "The answer isn't C",
    "A. Rome\nB. Bonn\nC. Paris",
    "A) Rome B) Bonn C) Paris",
    "A and C",
    r"\boxed{A, C}",
    r"\boxed{A} or \boxed{C}",
    "Answer: A\nAnswer: B\nAnswer: C",
    "Guess: A\nGuess: C",
    "答案不是C，而是D",
    "Anything but C.",
    "la respuesta no es C",
    "Eliminate option C",
    "<think>C</think>",
    "All of A, B and C",
    "I give up on question C",
    "option C is false, option B is true",
    "Option B or option C",
    "A B C",
    "The answer cannot be C.",
    "It is not C.",
    "C is not correct.",
    "(C) is false",
    "The correct option isn't C",
    "Option C is incorrect.",
    "C can be eliminated.",
    "C is ruled out.",
    "C, B",
    "B and C",
    "B or C",
    "C or B",
    "A, B, C, D",
    "ABCD",
    r"\boxed{A} \boxed{B} \boxed{C} \boxed{D}",
    r"\boxed{C, D}",
    r"\boxed{C \text{ or } D}",
    r"\boxed{\text{not C}}",
    "The answer is A. The answer is B. The answer is C.",
    "Option A\nOption B\nOption C",
    "(A) (B) (C)",
    "A) 1\nB) 2\nC) 3",
    "- A. x\n- B. y\n- C. z",
    "(A) Rome\n(B) Bonn\n(C) Paris",
    "Which is it, A or C?",
    "I don't know. C?",
    "不选C",
    "C是错误的",
    "Ответ не C.",
    "Nicht C.",
    "Ce n'est pas C",
    "C es incorrecta",
    "정답은 C가 아닙니다",
    "\\boxed{C}\n\nNo, D.",
    "\\boxed{C}\n\nActually the answer is D.",
    "The answer is C.\n\nCorrection: D",
    "Everything except C",
    "All but C",
)
BOTH = (
    "The answer is A and C.",
    "A and C",
    "(A) and (C)",
    "答案：AC",
    "Options A and C are correct.",
    "Answer: (A), (C)",
    "A and C.",
    r"\boxed{A \text{ and } C}",
    "Both A and C",
    "A和C",
    "AC",
    "A & C",
    "The answer: AC.",
    "A C",
    "Ответ: A, C",
    "Respuesta: A y C",
)
NOT_BOTH = (
    "A",
    "C",
    r"\boxed{A}",
    "A or C",
    "故选：A",
    "ABC",
    "The answer is A.",
    "Option A",
    "A, D",
    "A, C, D",
    "only A",
    "B, D",
    "A, not C",
    "The answer is A, C or D",
)
B_IS_RIGHT = (
    "The answer is B.\n\nA is wrong because it is not prime; C and D are too large.",
    "**Answer: B**\n\nExplanation: Option A is incorrect, Option C is incorrect.",
    "Answer: B. Because A is false.",
    "A: no. B: yes. C: no.\n\nAnswer: B",
    "After eliminating A, C, and D, the answer is B.",
    "Let's eliminate A and C. Between B and D, B is better. So the answer is B.",
    "The correct answer is (B), not (A).",
    "\\boxed{B}\n\nOption A is wrong since it ignores gravity.",
    r"The answer is \boxed{\text{(B) }}",
    "**(B)**",
    "Final answer: (B)",
    "I would choose (B).",
    "选 B，因为 A 错误。",
    "答案为B，A不正确。",
    "Ответ: B.",
    "B. 因为...",
    "The answer is B — the mitochondria.",
    "The answer is B, the mitochondria.",
    "The answer is B (the mitochondria).",
    "(B) 12",
    "B) 12",
    "Option (B) is correct",
    "The best option is B",
    "It must be B.",
    "It's B.",
    "So it's (B)!",
    "My choice is B",
    "B is true, the others are false.",
)


@pytest.mark.parametrize("response", RIGHT)
def test_a_letter_is_found_where_it_is_given(response: str) -> None:
    assert grade("C", response, kind="choice").label == "correct"


@pytest.mark.parametrize("response", NOT_C)
def test_a_letter_that_is_denied_or_one_of_several_is_not_the_answer(response: str) -> None:
    assert grade("C", response, kind="choice").label != "correct"


@pytest.mark.parametrize("response", BOTH)
def test_all_letters_of_a_reference_are_asked_for(response: str) -> None:
    assert grade("A, C", response, kind="choice").label == "correct"


@pytest.mark.parametrize("response", NOT_BOTH)
def test_other_letters_than_those_of_the_reference_are_not_right(response: str) -> None:
    assert grade("A, C", response, kind="choice").label != "correct"


@pytest.mark.parametrize("gold", ["AC", "A,C", "(A), (C)", "A and C", '{"answer": "A, C"}'])
def test_a_reference_may_write_several_letters_in_any_way(gold: str) -> None:
    assert grade(gold, r"\boxed{C, A}", kind="choice").label == "correct"
    assert grade(gold, r"\boxed{A}", kind="choice").label == "wrong"


@pytest.mark.parametrize("response", B_IS_RIGHT)
def test_remarks_on_other_options_change_nothing(response: str) -> None:
    assert grade("B", response, kind="choice").label == "correct"


@pytest.mark.parametrize("response", D)
def test_a_letter_is_found_in_many_languages_and_styles(response: str) -> None:
    assert grade("D", response, kind="choice").label == "correct"


@pytest.mark.parametrize("response", NOT_D)
def test_a_letter_that_is_only_named_is_not_the_answer(response: str) -> None:
    assert grade("D", response, kind="choice").label != "correct"


OPTIONS = (
    '{"answer": "A", "options": ["increases", "decreases", "stays the same", "increases twice"]}'
)


@pytest.mark.parametrize(
    ("response", "label"),
    [
        *((text, "correct") for text in ("Answer: it increases", "It increases.", "increases")),
        *((text, "correct") for text in ("The answer is that it increases.", "A. increases")),
        *((text, "wrong") for text in ("Answer: it decreases", "Answer: it increases twice")),
        ("Answer: it does not increase", "unverifiable"),
        ("Answer: it never increases", "unverifiable"),
        ("It increases or decreases.", "no_answer"),
        ("Answer: it increases, then stays the same", "unverifiable"),
        ("Is it true that it increases? No.", "no_answer"),
    ],
)
def test_an_option_may_be_given_by_its_words_in_a_sentence(response: str, label: str) -> None:
    assert grade(OPTIONS, response, kind="choice").label == label


CURVES = '{"answer": "C", "options": ["a parabola", "an ellipse", "a hyperbola", "a circle"]}'
FORMULAS = '{"answer": "A", "options": ["$x^2-1$", "$x^2+1$", "$1-x^2$", "$(x-1)^2$"]}'


@pytest.mark.parametrize(
    ("gold", "response", "label"),
    [
        *(("C", f"{words}: C", "correct") for words in ("**Selected option**", "Final choice")),
        ("C", "Of the four statements, only C holds.", "correct"),
        ("C", "Only option (C) is true.", "correct"),
        ("D", "It isn't A, B or C; it is D.", "correct"),
        ("D", "It is not A, B, or C. It is D.", "correct"),
        ("D", "D. (C would be right only in a vacuum.)", "correct"),
        ("B, C, E", "The correct statements are B, C, and E.", "correct"),
        ("B, C, E", "The correct statements are B and C.", "wrong"),
        (CURVES, r"\boxed{\text{hyperbola}}", "correct"),
        (CURVES, r"\boxed{\text{parabola}}", "wrong"),
        (FORMULAS, r"\boxed{x^{2}-1}", "correct"),
        (FORMULAS, r"\boxed{x^2 + 1}", "wrong"),
        ("C", "Not only C holds.", "no_answer"),
        ("C", "If only C holds, then D holds.", "no_answer"),
        ("C", "Only C is wrong.", "no_answer"),
    ],
)
def test_letters_and_options_are_read_in_sentences(gold: str, response: str, label: str) -> None:
    assert grade(gold, response, kind="choice").label == label
