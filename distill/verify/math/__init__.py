"""Is a mathematical answer the same as its reference?

extract     finds the final answer in a response
latex       takes the typography off an answer
rational    reads a plain number, exactly
values      reads an answer: a number, a list of answers, or text
expression  reads a small formula as a tree
bounds      arithmetic with a bound on its error
probe       are two formulas the same, by their values?
relations   equations, inequalities, intervals
compare     are two values the same?
symbolic    which questions Math-Verify gets, and how
"""
