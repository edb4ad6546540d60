"""What counts as the final answer of a response: stated, denied, taken back, guessed, listed."""

import time

import pytest

from distill.verify import grade
from distill.verify.kinds import CHECKS
from distill.verify.math import denial, extract, retraction, sentence
from tests.verify.math.eighteens import EIGHTEEN, NOT_EIGHTEEN
from tests.verify.math.endings import CORRECTIONS, REMARKS
from tests.verify.math.not_sevens import NOT_SEVEN
from tests.verify.math.remarks import FIVE, NOT_TEN, TWELVE
from tests.verify.math.responses import (
    AFTER_THOUGHTS,
    ANOTHER_DENIED,
    CORRECTED,
    DENIED,
    GIVEN_UP,
    GUESSES,
    LISTED,
    STATED,
    STEPS,
    TAKEN_BACK,
    THOUGHTS,
)
from tests.verify.math.sevens import SEVEN
from tests.verify.math.twenty_ones import KEEPS, NOT_TWENTY_ONE, TURNS, TWENTY_ONE


@pytest.mark.parametrize("response", [*STATED, *ANOTHER_DENIED, *STEPS, *AFTER_THOUGHTS])
def test_an_answer_is_found_where_it_is_stated(response: str) -> None:
    assert grade("5", response).label == "correct"


@pytest.mark.parametrize("response", [*DENIED, *GIVEN_UP, *TAKEN_BACK, *GUESSES, *THOUGHTS])
def test_what_is_denied_taken_back_or_guessed_is_not_the_answer(response: str) -> None:
    assert grade("5", response).label != "correct"


@pytest.mark.parametrize("response", CORRECTED)
def test_a_corrected_answer_counts_and_a_remark_does_not_take_it_back(response: str) -> None:
    assert grade("12", response).label == "correct"


@pytest.mark.parametrize(
    ("gold", "response"), [*(("5", one) for one in FIVE), *(("12", one) for one in TWELVE)]
)
def test_remarks_on_other_values_change_nothing(gold: str, response: str) -> None:
    assert grade(gold, response).label == "correct"


@pytest.mark.parametrize("response", NOT_TEN)
def test_a_box_that_is_denied_does_not_count(response: str) -> None:
    assert grade("10", response).label != "correct"


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        *(("7", one) for one in SEVEN),
        *(("18", one) for one in EIGHTEEN),
        *(("21", one) for one in TWENTY_ONE),
    ],
)
def test_an_answer_is_found_in_what_models_write_around_it(gold: str, response: str) -> None:
    assert grade(gold, response).label == "correct"


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        *(("7", one) for one in NOT_SEVEN),
        *(("18", one) for one in NOT_EIGHTEEN),
        *(("21", one) for one in NOT_TWENTY_ONE),
    ],
)
def test_a_number_that_is_only_named_is_not_the_answer(gold: str, response: str) -> None:
    assert grade(gold, response).label != "correct"


ANSWERS = (
    "So we get \\boxed{7}.",
    "The answer is 7.",
    "**Answer: 7**\n\nWe add 3 and 4.",
    "3 + 4 = 7\n#### 7",
)


@pytest.mark.parametrize("ending", REMARKS)
def test_a_natural_ending_keeps_the_answer(ending: str) -> None:
    assert {grade("7", f"{answer}\n\n{ending}").label for answer in ANSWERS} == {"correct"}


@pytest.mark.parametrize("ending", CORRECTIONS)
def test_words_that_take_an_answer_back_do(ending: str) -> None:
    assert "correct" not in {grade("7", f"{answer}\n\n{ending}").label for answer in ANSWERS[:2]}


BOTH = (r"So $n = \boxed{21}$.", "The answer is 21.")


@pytest.mark.parametrize("ending", TURNS)
def test_a_sentence_that_turns_to_another_value_takes_the_answer_back(ending: str) -> None:
    assert "correct" not in {grade("21", f"{answer}\n\n{ending}").label for answer in BOTH}


@pytest.mark.parametrize("ending", KEEPS)
def test_a_sentence_that_turns_to_the_same_value_or_only_checks_keeps_it(ending: str) -> None:
    assert {grade("21", f"{answer}\n\n{ending}").label for answer in BOTH} == {"correct"}


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("A, D", "The true statements are (A) and (D)."),
        (r"7{:}20 \text{ PM}", "The train arrives at 19:20."),
        (r"\text{isosceles}", "The triangle is **isosceles**."),
        ("nieparzysta", "Funkcja jest więc **nieparzysta**."),
        ("2, 11", "The first root is $\\boxed{2}$.\n\nThe second root is $\\boxed{11}$."),
        ("2, 11", r"The first root is \boxed{2}. The second root is \boxed{11}."),
    ],
)
def test_letters_times_words_and_lists_are_found_in_sentences(gold: str, response: str) -> None:
    assert grade(gold, response).label == "correct"


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("2, 11", "The answer is \\boxed{2}.\n\nThe answer is \\boxed{11}."),
        ("2, 11", "The first guess is \\boxed{2}.\n\nThe second guess is \\boxed{11}."),
        ("2, 11", r"The first root is \boxed{2}. The second root is \boxed{-11}."),
        (r"\text{isosceles}", "The triangle is not **isosceles**."),
        (r"\text{isosceles}", "Note: it is **isosceles**."),
    ],
)
def test_denied_words_and_rival_boxes_are_not_found(gold: str, response: str) -> None:
    assert grade(gold, response).label != "correct"


@pytest.mark.parametrize("response", LISTED)
def test_several_answers_are_a_list_if_a_list_is_asked_for(response: str) -> None:
    assert grade("3, 5", response).label == "correct"


OPTION = r"\textbf{(D)}\ 24"


@pytest.mark.parametrize(
    ("gold", "answer", "label"),
    [
        *((gold, OPTION, "correct") for gold in ("D", "24", OPTION)),
        *((OPTION, answer, "correct") for answer in ("D", "24", r"\text{(D) }24", "x = 24")),
        *(("D", answer, "correct") for answer in ("D. 24", "D) 24", "D: 24", r"\text{Option D}")),
        (OPTION, "C", "wrong"),
        (OPTION, "25", "wrong"),
        (OPTION, r"\textbf{(D)}\ 25", "wrong"),
        (OPTION, "(C) 24", "wrong"),
        ("24", r"\textbf{(D)}\ 25", "wrong"),
        (r"\textbf{(D)}\ \frac{1}{2}", "0.5", "correct"),
    ],
)
def test_an_option_is_its_letter_and_its_value(gold: str, answer: str, label: str) -> None:
    assert grade(gold, rf"So it is $\boxed{{{answer}}}$.").label == label


EVERY = [
    *(*STATED, *ANOTHER_DENIED, *STEPS, *AFTER_THOUGHTS, *DENIED, *GIVEN_UP, *TAKEN_BACK),
    *(*GUESSES, *THOUGHTS, *CORRECTED, *LISTED, *SEVEN, *NOT_SEVEN),
    *(*EIGHTEEN, *NOT_EIGHTEEN, *TWENTY_ONE, *NOT_TWENTY_ONE),
    *(
        f"{answer}\n\n{ending}"
        for answer in ANSWERS
        for ending in (*REMARKS, *CORRECTIONS, *TURNS, *KEEPS)
    ),
]


def test_the_quick_look_at_the_words_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [extract.extract(response) for response in EVERY]
    for module in (denial, extract, retraction, sentence):
        monkeypatch.setattr(module, "quiet", lambda *_: False)
    assert [extract.extract(response) for response in EVERY] == quick


N = 500_000
HOSTILE = (
    *("answer of ", "the correct answer ", "answer: 5\n", "<answer>", "<answer>5</answer>"),
    *(r"\boxed{1}" + "\n", r"not \boxed{1} ", r"\boxed{1} is wrong. ", "wait, this is wrong. "),
    *(
        "but wait no, ",
        "so not 5 but ",
        "maybe 5? ",
        "many think ",
        "\n",
        "$$",
        "the answer is\n\\[\n",
    ),
    *("is it 3.5? no. ", "no, 8 ", "let me redo ", "no: it is ", "~~", "→ ", "if the answer is 5 "),
    *("alternativa ", "cevap ", "7 (3 red) ", "the answer, it, "),
    *("let me redo this with care, once more. ", "this is wrong. option C ? "),
    *(
        "but so 8 ",
        "However, so\n",
        "5. Wait, it is ",
        "a **b ",
        "答案是5。",
        "ответ: ",
        "A, ",
        "option C ",
        "3 or ",
        r"\begin{align} ",
        '"answer": ',
    ),
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_half_a_megabyte_of_such_words_takes_linear_time(piece: str) -> None:
    text = piece * (N // len(piece))
    started = time.process_time()
    for kind in ("math", "choice"):
        CHECKS[kind]("5", text)
        CHECKS[kind]("5", f"The answer is 5. {text}")
    # 1 to 3 s on a busy machine; a quadratic pattern would take hours
    assert time.process_time() - started < 20
