"""The grader: what is taken from a response, what counts as equal, and what it never does."""

import json
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.verify import LABELS, Item, Verdict, grade, grade_all
from distill.verify.kinds import CHECKS
from distill.verify.math.compare import same
from distill.verify.math.extract import boxes, extract
from distill.verify.math.rational import Number
from distill.verify.math.values import Listed, read
from distill.verify.workers.pending import PendingCheck

# (response, what is taken from it, where it stood)
EXTRACTED = [
    (r"So \boxed{12}. But no: \boxed{\frac{1}{2}}" + "\n", r"\frac{1}{2}", "boxed"),  # corrected
    (r"\boxed{12} \qquad width \boxed{3}", None, "several"),  # one line, nothing between them
    ("First \\boxed{3}.\nThen \\boxed{4}.", "4", "boxed"),  # the last box counts
    (r"\boxed{1} and \boxed{2}", "1, 2", "boxed"),  # joined: a list
    ("\\boxed{1}\nor\n\\boxed{2}", "1, 2", "boxed"),  # hedging over lines is a list too
    (r"\boxed{7} (that is, \boxed{7})", "7", "boxed"),  # the same twice
    (r"\boxed{x = \boxed{5}}", r"x = \boxed{5}", "boxed"),  # the outer box
    (r"A set { and \fbox{8}", "8", "boxed"),  # a stray brace before it
    (r"\boxed{9", None, None),  # cut off inside the box
    ("The final answer is 42. I hope it is correct.", "42", "stated"),
    ("**Answer:** The therapy cost John \\$3,000.", "3,000", "stated"),
    ("**Answer**: Violetta has **10 pages** left of 15.", "10 pages", "stated"),  # bold first
    ("The answer is either 3 or 4.", "3 or 4", "stated"),
    ("Some steps.\n#### 72", "72", "stated"),  # GSM8K's own convention
    ("#### Step 2: add\nThat makes 7 apples.", "7", "last_number"),  # a heading is no answer
    ("Final Answer: The largest $n$ is 34.", "34", "stated"),  # a name is no answer
    ("**Total**: 300 + 312 + 150 = **762**", "762", "bold"),
    ("There are 9 + 5 = 14 left.\nA: 1,450", "1,450", "last_number"),
    ("the pair is $(7, 6)$. Done", "(7, 6)", "last_number"),  # not its last element
    ("Therefore $x \\geq 5$ is the solution.", "$x \\geq 5$", "last_formula"),  # not its 5
    ("it is $4\\sqrt{2}$ long", "$4\\sqrt{2}$", "last_formula"),  # nor its 4
    (r"With $a$ and $b \geq 5$ it holds.", None, None),  # which of the two?
    (r"\boxed{2} first. Then \boxed{3}. The answer is 9", "9", "stated"),
    ("So it is $41.472+$", None, None),  # the rest of a sum of money
    ("1/3", "1/3", "whole"),
    ("", None, None),
    ("I cannot tell.", None, None),
]


@pytest.mark.parametrize(("response", "answer", "place"), EXTRACTED)
def test_the_stated_answer_is_found(response: str, answer: str | None, place: str | None) -> None:
    found = extract(response)
    assert (found.place if found else None) == place
    if answer is not None:
        assert found is not None
        assert found.text == answer


# (gold, boxed answer, label)
COMPARED = [
    ("5", "5", "correct"),
    ("5", "x = 5", "correct"),  # a name on the left
    ("5", "2x = 5", "wrong"),  # an equation is not its right-hand side
    ("5", "2 + 3 = 5", "correct"),  # a sum worked out
    ("0.5", r"\frac12", "correct"),
    ("0.5", r"\tfrac{1}{2}", "correct"),
    ("3/2", r"1\frac{1}{2}", "correct"),  # mixed
    ("3/2", "1 1/2", "correct"),
    ("11/2", "1 1/2", "wrong"),  # the space matters
    ("3", "3.0", "correct"),
    (".5", "0.50", "correct"),
    ("1000", "1,000", "correct"),
    ("1000", "1{,}000", "correct"),
    ("1000", r"1,\!000", "correct"),
    ("32349", "32, 349", "unverifiable"),  # a list, by its space; or not
    ("1000", r"\$1,000.00", "correct"),
    ("-4", "−4", "correct"),  # a real minus sign
    ("4", "+4.", "correct"),
    ("90", r"90^\circ", "correct"),
    ("125", r"125\text{ miles}", "correct"),
    ("15", r"15\mbox{ cm}^2", "correct"),
    ("5", "5x", "wrong"),  # a variable is no unit
    ("5", "5 less than x", "unverifiable"),
    ("2000000", r"2\text{ million}", "correct"),
    ("3000", r"3 \times 10^{3}", "correct"),
    ("36", "3 dozen", "unverifiable"),  # worth a number, but which is not for us to say
    ("1128", r"18\text{ hours and }48\text{ minutes}", "correct"),
    ("50", r"50\%", "correct"),  # the sign left out
    ("0.5", r"50\%", "correct"),  # or its value
    (r"50\%", "0.5", "correct"),
    ("50", "0.5", "wrong"),  # no sign, no excuse
    (r"50\%", r"0.5\%", "wrong"),
    (r"\frac{1}{3}", "0.333", "unverifiable"),  # rounded
    ("3", "2.67", "wrong"),  # not a rounding of 3
    ("2.74", "2,74", "correct"),  # decimal comma
    ("3", "3 or 4", "wrong"),  # hedged
    ("3, 4", "3 or 4", "correct"),  # both were asked for
    ("(1, 2)", r"\left(1,\,2\right)", "correct"),
    ("(1, 2)", "(2, 1)", "wrong"),
    ("(1, 2)", "1, 2", "correct"),
    ("[0, 1)", "(0, 1)", "wrong"),
    ("(x, y) = (5, 8)", "(5, 8)", "correct"),
    (r"\{1, 2\}", r"\{2, 1\}", "correct"),  # sets have no order
    ("1, 2", "2, 1", "correct"),  # nor have several answers
    ("1, 2", "1, 2, 2", "correct"),
    ("(1, 2)", "2, 1", "wrong"),  # the reference has one
    (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}", "correct"),
    ("1.22", "1,22", "correct"),
    ("1,22", "1.22", "correct"),
    (r"\frac{1}{12}", "0.083333", "correct"),  # rounded to six decimals or more
    (r"\frac{1}{3} \approx 0.33", r"\frac{1}{3}", "correct"),  # the exact one of the two
    (r"\approx 8.24", r"\approx 8.44", "wrong"),
    ("C", "c", "correct"),
    ("A:B = 2", "2", "correct"),
    ("x > 5", r"(5, \infty)", "correct"),
    ("-2 < x \\le 7", "(-2, 7]", "correct"),
    ("-2 < x < 7", "(-2, 7]", "wrong"),
    ("x < 1", "-x > -1", "correct"),
    ("x < 1", "x > -1", "wrong"),
    (r"[0,1) \cup (1,2]", r"(1,2] \cup [0,1)", "correct"),
    (r"[0,1) \cup (1,2]", "[0,2]", "wrong"),
    (r"\{-1\} \cup [0,7)", r"[-1,-1] \cup [0,7)", "correct"),
    ("2x+4y-3 = 0", r"y = -\frac{1}{2}x + \frac{3}{4}", "correct"),
    ("x + y = 2", "x - y = 2", "wrong"),
    (
        r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}",
        r"\left[\begin{array}{cc}1&2\\3&2^2\end{array}\right]",
        "correct",
    ),
    (r"\begin{pmatrix}1 & 2\end{pmatrix}", r"\begin{pmatrix}1 \\ 2\end{pmatrix}", "wrong"),
    ("1, 2", "1, 3", "wrong"),
    ("p=5,q=2;p=7,q=2", "(5,2),(7,2)", "correct"),
    (r"2\sqrt{3}", r"2\sqrt3", "correct"),
    (r"2\sqrt{3}", r"\sqrt{12}", "correct"),
    ("x^2 + 1", "1 + x^2", "correct"),
    ("4", r"2^2", "correct"),
    ("4", r"\log_2 16", "correct"),
    ("4", r"\text{undefined}", "wrong"),
    ("C", r"\text{(C)}", "correct"),
    ("C", "D", "wrong"),
    ("Evelyn", r"\text{evelyn}", "correct"),
    ("0.0", "0", "correct"),
    (r"\text{the midpoint}", r"\text{midpoint}", "correct"),
    (r"\text{the midpoint}", r"\text{the middle}", "unverifiable"),  # words, who knows
    ("204_5", "204_5", "correct"),  # a base
    ("204", "204_5", "unverifiable"),
    ("204_5", "204", "correct"),  # the base is left out, as where a question names it
    ("204_5", "205", "wrong"),
    ("204_5", "54", "correct"),
    (r"Hence $x = \boxed{\dfrac{3}{4}}$ as wanted.", "0.75", "correct"),  # a whole solution
    ("She has 2 + 2 left.\n#### 4", "4", "correct"),  # GSM8K's gold as published
]


@pytest.mark.parametrize(("gold", "answer", "label"), COMPARED)
def test_answers_compare_as_documented(gold: str, answer: str, label: str) -> None:
    verdict = grade(gold, rf"So it is \boxed{{{answer}}}.")
    assert verdict.label == label, verdict


@pytest.mark.parametrize(
    ("gold", "response", "label"),
    [
        ("True", "\\boxed{True}", "correct"),
        ("a b", "The words:\n**a  b**", "correct"),  # white space and marks do not count
        ("Yes", "yes", "wrong"),  # case does
        ("1/2", "0.5", "wrong"),  # no arithmetic
        ("left", "The answer is: left.", "correct"),
        ("x", "", "no_answer"),
    ],
)
def test_exact_compares_text(gold: str, response: str, label: str) -> None:
    assert grade(gold, response, kind="exact").label == label


@pytest.mark.parametrize(
    ("gold", "response", "label"),
    [
        ("0.50", r"\boxed{1/2}", "correct"),  # as mathematics
        ("zab", r"\boxed{zab}", "correct"),  # as text
        ("3*4+5", r"\boxed{5+3*4}", "unverifiable"),  # only the task's scorer could tell
        ("7", r"\boxed{8}", "wrong"),
    ],
)
def test_reasoning_gym_never_calls_another_text_wrong(gold: str, response: str, label: str) -> None:
    assert grade(gold, response, kind="reasoning_gym").label == label


@pytest.mark.parametrize(("gold", "kind"), [(None, "math"), ("  ", "math"), ("5", None)])
def test_nothing_to_check_against_is_unverifiable(gold: str | None, kind: str | None) -> None:
    assert grade(gold, r"\boxed{5}", kind=kind).label == "unverifiable"


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'maths'.*'math'"):
        grade("5", "5", kind="maths")


N = 200_000
HOSTILE = {
    "digits": r"\boxed{" + "9" * N + "}",
    "tower": r"\boxed{10^{10^{10}}}",
    "exponent": r"\boxed{1e999999999}",
    "braces": r"\boxed{" + "{" * 2000 + "5" + "}" * 2000 + "}",
    "boxes in boxes": r"\boxed{" * 2000 + "5" + "}" * 2000,
    "open boxes": r"\boxed{" * (N // 7),
    "fractions": r"\boxed{" + r"\frac{1}{" * 2000 + "2" + "}" * 2000 + "}",
    "parentheses": r"\boxed{" + "(" * 2000 + "1" + ")" * 2000 + "}",
    "commas": r"\boxed{" + "1," * N + "}",
    "spaces": "answer" + " " * N + "x",
    "statements": "answer is " * (N // 10),
    "stars": "**" * N + "5",
    "dollars": "$" * N,
    "or": "3 or " * (N // 5),
    "text": r"\boxed{" + r"\text{" * (N // 6) + "}",
    "backslashes": "\\" * N,
    "new lines": "\n" * N,
    "boxes in a line": r"\boxed{1} and " * (N // 14),
    "other digits": "\\boxed{\U0001d7d7½²٣}\ud800",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_take_linear_time(name: str) -> None:
    text = HOSTILE[name]
    started = time.process_time()
    for kind in CHECKS:
        CHECKS[kind]("5", text)
        CHECKS[kind](text, text)
    # 6 calls, each a few passes over up to 400,000 characters; quadratic ones take minutes
    assert time.process_time() - started < 10


def test_two_long_numbers_are_equal_only_if_every_digit_is() -> None:
    digits = "7" * N
    assert grade(digits, rf"\boxed{{{digits}}}").label == "correct"
    assert grade(digits + "1", rf"\boxed{{{digits}2}}").label != "correct"
    assert grade("1" + digits, rf"\boxed{{2{digits}}}").label != "correct"


PIECES = [
    *r"\{}[]()$*#.,;:=-+/^_%!0123456789 abx",
    "\n",
    "\\boxed{",
    "\\frac{",
    " or ",
    "answer: ",
    "−",
]
SIGNS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(SIGNS | st.text(), SIGNS | st.text(), st.sampled_from(list(CHECKS)))
def test_grading_never_raises(gold: str, response: str, kind: str) -> None:
    verdict = CHECKS[kind](gold, response)
    if isinstance(verdict, Verdict):
        assert verdict.label in LABELS
        assert verdict.label != "correct" or verdict.answer


@given(SIGNS)
def test_boxes_are_balanced_and_apart(text: str) -> None:
    last = 0
    for start, end, content in boxes(text):
        assert last <= start < end
        assert text[start:end].endswith(content + "}")
        last = end


FRACTIONS = st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6)


@given(FRACTIONS, st.integers(0, 5))
def test_a_fraction_survives_every_way_of_writing_it(value: Fraction, form: int) -> None:
    n, d = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    whole, part = divmod(n, d)
    written = [
        rf"{sign}\frac{{{n}}}{{{d}}}",
        rf"{sign}\dfrac{{{n}}}{{{d}}}",
        f"{sign}{n}/{d}",
        rf"{sign}{whole}\frac{{{part}}}{{{d}}}",
        f"{sign}{whole} {part}/{d}",
        f"${sign}{n:,}/{d}$",
    ][form]
    assert read(written) == Number(value)


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_a_decimal_survives_every_way_of_writing_it(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    sign = "-" if digits < 0 else ""
    whole, part = divmod(abs(digits), 10**places)
    tail = f".{part:0{places}d}" if places else ""
    for written in (
        f"{sign}{whole}{tail}",
        f"{sign}{whole:,}{tail}",
        f"{sign}{whole}{tail}0" if tail else "0",
    ):
        found = read(written)
        assert isinstance(found, Number)
        assert found.value == (value if written != "0" else 0)


@given(st.lists(FRACTIONS, min_size=2, max_size=6), st.sampled_from(["()", "[]", "{}", ""]))
def test_a_list_equals_itself_and_not_one_that_differs(items: list[Fraction], kind: str) -> None:
    left, right = (rf"\{kind[0]}", rf"\{kind[1]}") if kind == "{}" else (kind[:1], kind[1:])
    gold = read(left + ", ".join(map(str, items)) + right)
    other = read(left + ", ".join(map(str, [*items[:-1], items[-1] + 10**10])) + right)
    assert isinstance(gold, Listed)
    assert other is not None
    assert same(gold, gold)[0] is True
    assert same(gold, other)[0] is False


@pytest.mark.parametrize(
    ("gold", "response", "label"),
    [
        ("C", r"So it is \boxed{\text{(C)}}.", "correct"),
        ("C", "The answer is (C) Paris.", "correct"),
        ("(C)", "I think so.\n\n**C**", "correct"),
        ("C", "Answer: D", "wrong"),
        ("C", "The answer is C or D.", "unverifiable"),
        ("C", "A cat sat there.", "no_answer"),
        ("Paris", r"\boxed{C}", "unverifiable"),  # no letter to compare with
        ('{"answer": "C", "options": ["Rome", "Bonn", "Paris"]}', r"\boxed{Paris}", "correct"),
        ('{"answer": "C", "options": ["Rome", "Bonn", "Paris"]}', r"\boxed{Rome}", "wrong"),
    ],
)
def test_a_choice_is_its_letter(gold: str, response: str, label: str) -> None:
    assert grade(gold, response, kind="choice").label == label


ENTRY = {"numbers": [3, 4, 5], "target": 17}
COUNTDOWN = json.dumps({"task": "countdown", "answer": "3*4+5", "metadata": ENTRY})


@pytest.mark.parametrize(
    ("response", "label", "method"),
    [
        (r"\boxed{5+3*4}", "correct", "scorer"),  # another right answer
        (r"\boxed{5+3+4}", "wrong", "scorer"),
        (r"\boxed{open('x','w')}", "unverifiable", "would_execute"),
        (r"\boxed{().__class__}", "unverifiable", "would_execute"),
        (r"\boxed{exec('1')}", "unverifiable", "would_execute"),
    ],
)
def test_a_task_of_reasoning_gym_is_scored_by_its_own_scorer(
    response: str, label: str, method: str
) -> None:
    pytest.importorskip("reasoning_gym")
    verdict = grade(COUNTDOWN, response, kind="reasoning_gym")
    assert (verdict.label, verdict.method) == (label, method)


def test_a_batch_keeps_the_order_of_its_items() -> None:
    golds = ["1", None, "x+1", r"\text{odd}", "2"]
    kinds = ["math", "math", "math", "exact", None]
    answers = [r"\boxed{1}", "1", r"\boxed{1+x}", r"\boxed{even}", "2"]
    items = [Item(*row) for row in zip(golds, answers, kinds, strict=True)]
    together = grade_all(items)
    assert together == [grade(item.gold, item.response, kind=item.kind) for item in items]
    assert [v.label for v in together] == [
        "correct",
        "unverifiable",
        "correct",
        "wrong",
        "unverifiable",
    ]


def test_a_check_that_fails_costs_one_row_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exact = CHECKS["exact"]

    def failing(gold: str, response: str) -> Verdict | PendingCheck:
        if response == "b":
            raise IndexError("string index out of range")
        return exact(gold, response)

    monkeypatch.setitem(CHECKS, "exact", failing)
    found = grade_all([Item("a", answer, "exact") for answer in "ab"])
    assert [one.label for one in found] == ["correct", "error"]
    assert (found[1].method, found[1].detail) == ("check_failed", "IndexError")
    assert "a check of kind exact failed: IndexError" in caplog.text
