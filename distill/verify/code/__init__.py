"""Checks programs: is what a model wrote right by the tests of its reference?

    gold         reads a reference: asserts, inputs and outputs, or arguments and results
    source       Python as a syntax tree
    unsupported  what tests ask that no result can show
    bounded      functions that no result can keep busy
    claims       what one assert claims about the values a program returns
    suite        the tests of a reference, ready to run
    response     finds the program in a response
    plain        makes a Counter a dict, and finds what is not plain data
    constant     recognises a program that returns one value for everything
    output       compares what was printed
    languages    other languages: how their programs are recognised, compiled and started
    compiled     runs programs in these and compares what they print
    judge        runs a program and compares what it returns
    tester       runs tests that have to be run themselves
    check        all of it together

The expected results never enter the jail of the program, and nothing runs outside a jail.
"""

from distill.verify.code.check import check_all, own_answer

__all__ = ["check_all", "own_answer"]
