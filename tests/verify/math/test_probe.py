"""Formulas by their values: right where it answers, silent where it could be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.verify.math.expression import parse
from distill.verify.math.probe import constant, equal, linear, proportional

EQUAL = [
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}"),
    (r"\tan^2(y)+1", r"\sec^2(y)"),
    ("3+4i", "4i+3"),
    ("e^{x}+1", "1+e^x"),
    (r"\ln 2x", r"\ln 2+\ln x"),
    (r"x\sin x", r"\sin(x)x"),
    (r"\sqrt[3]{x}^2", "x^{2/3}"),
    ("x^{10}-1", "(x^5-1)(x^5+1)"),
    (r"\frac12ab", "ab/2"),
    (r"\sin\frac{\pi}{6}", "1/2"),
    ("5!", "120"),
    (r"\log_2 8", "3"),
    ("i^2", "-1"),  # the imaginary unit, not a name
    (r"\log 100", "2"),  # to the base ten
    (r"\sin^{-1} x", r"\arcsin x"),
    (r"\sqrt{ab}", r"\sqrt a\sqrt b"),  # where all roots are real
    (r"\sqrt{1/m}", r"\frac{1}{\sqrt{m}}"),
    (r"2e^{i\pi/3}", r"1+\sqrt3 i"),
    (r"\frac{2}{1+i}", "1-i"),
    ("2cis 60°", r"1+\sqrt{3}i"),
    ("60°", r"\frac{\pi}{3}"),
    ("180°-x", "180-x"),
    ("n!", "n(n-1)!"),
    ("C_8^3", "56"),
    ("{}_8C_3", "56"),
    ("P(10,3)", "720"),
    (r"\cosh^2 x - \sinh^2 x", "1"),
    ("2xyz", "2zyx"),
]
DIFFERENT = [
    ("x+1", "x+2"),
    ("2", r"\frac{1+\sqrt5}{2}"),
    ("x^2", "x^3"),
    (r"\frac{a}{b}", r"\frac{b}{a}"),
    ("-16i-1", "-16i+1"),
    ("2^{98}", "2^{91}"),
    ("2^{100}+1", "2^{100}"),
    ("1234567890123456789", "1234567890123456788"),
    (r"\frac{1}{500!}", r"\frac{1}{501!}"),
    ("2^{-1200}", "2^{-1201}"),
    (r"1-\frac{2}{e}", r"1+\frac{2}{e}"),
    (r"\frac{1}{2019!+1}", r"\frac{1}{2019!-1}"),
    ("e^{-400}", "e^{-401}"),
    (r"1-e^{-1000}", "1"),
    (r"\pi+10^{-300}", r"\pi"),
    (r"e^{\pi\sqrt{163}}", "640320^3+744"),  # equal to 12 decimals
    ("n!", "(n-1)!"),
    (r"\sin x^2", r"\sin^2 x"),
    ("x", "2"),
]
UNDECIDED = [
    (r"\sqrt{x^2}", "x"),  # where x is not negative
    ("|x-5|", "x-5"),  # where x is not below 5
    ("1/2x", "x/2"),  # or one over 2x
    (r"2\frac{1}{3}", r"\frac{7}{3}"),  # or two thirds
    ("a+b", "b+c"),  # other symbols
    ("0.33x", "x/3"),  # rounded
    (r"\cos(n\pi)", "(-1)^n"),  # for whole numbers
    (r"\cos(2n\pi)+n", "1+n"),
    ("f(x)", "f(x)"),  # a function, or a product
    ("10^{10^{10}}", "1"),
    ("odd", "even"),
    ("100-x", "|x-100|"),  # equal up to 100
    ("|2x-1000|", "1000-2x"),
    (r"\ln|x|", r"\ln x"),
    ("abc", "cab"),  # an order
    ("LQSX", "SQLX"),
    ("2^{1}0", "2^{10}"),
    ("C_8^3", "57"),  # or a cube
    ("f'", "f''"),
    (r"\sum_{k=1}^{10} k", "55"),
    ("52_8", "42"),
]


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_formulas_are_equal(gold: str, answer: str) -> None:
    assert equal(gold, answer) is True
    assert equal(answer, gold) is True


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_formulas_are_different(gold: str, answer: str) -> None:
    assert equal(gold, answer) is False


@pytest.mark.parametrize(("gold", "answer"), UNDECIDED)
def test_what_values_cannot_tell_is_left_open(gold: str, answer: str) -> None:
    assert equal(gold, answer) is None


@pytest.mark.parametrize(
    ("gold", "answer", "factor"), [("2x-2", "1-x", -0.5), ("x", "x^2", None), ("2", "4", None)]
)
def test_a_constant_factor_is_found(gold: str, answer: str, factor: float | None) -> None:
    assert proportional(gold, answer) == (factor if factor is None else pytest.approx(factor))


def test_a_constant_has_a_value_and_a_formula_has_none() -> None:
    assert constant(r"\frac{\pi}{2}") == pytest.approx(1.5707963)
    assert constant("2x") is None
    assert constant("2i") is None


def test_lines_are_linear() -> None:
    assert linear("2x - y/3 + 1")
    assert not linear("xy")
    assert not linear("1/x")


PIECES = st.sampled_from(
    [*"0123456789xyeni+-*/^_(){}|!. ", r"\frac", r"\sqrt", r"\sin ", r"\pi", r"\log", "^{", "}{"]
)
FORMULAS = st.lists(PIECES, max_size=25).map("".join)


@given(FORMULAS, FORMULAS)
def test_no_formula_raises_or_equals_what_differs_from_it(one: str, other: str) -> None:
    assert equal(one, other) is equal(other, one) or None in (equal(one, other), equal(other, one))
    assert equal(one, one) is not False
    assert equal(one, f"({one})+1") is not True or parse(one) is None


# Sums of products of small numbers, x and y; Python's own integers know whether two are the same.
LEAVES = st.sampled_from(["1", "2", "3", "x", "y"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
        lambda t: f"({t[0]}{t[1]}{t[2]})"
    ),
    max_leaves=6,
)


@given(TREES, TREES)
def test_polynomials_agree_with_exact_arithmetic(one: str, other: str) -> None:
    # degree at most 6 in each: equal on a 7 by 7 grid is equal everywhere
    grid = [(x, y) for x in range(7) for y in range(7)]
    same = all(eval(one, {"x": x, "y": y}) == eval(other, {"x": x, "y": y}) for x, y in grid)
    found = equal(one, other)
    assert found in (same, None)
