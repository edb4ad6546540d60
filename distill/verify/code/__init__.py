"""Checks programs: is what a model wrote right by the tests of its reference?

    gold         reads a reference: asserts, inputs and outputs, or arguments and results
    source       Python as a syntax tree
    unsupported  what tests ask that no result can show
    bounded      functions that no result can keep busy
    claims       what one assert claims about what a program returns
    suite        the tests of a reference, ready to run
    response     finds the program in a response
    plain        makes a Counter a dict, and tells what is not plain data
    constant     tells a program that gives one value to everything
    output       compares what was written
    languages    other languages: how their programs are told, compiled and started
    compiled     runs programs in these and compares what they write
    judge        runs a program and compares what it gives
    tester       runs tests that have to be run themselves
    check        all of it together

What is expected never enters the jail of the program. Runs nothing outside a jail.
"""

from distill.verify.code.check import check_all, own_answer

__all__ = ["check_all", "own_answer"]
