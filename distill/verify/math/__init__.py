"""Is a mathematical answer the same as its reference?

extract       finds the final answer in a response
latex         takes the typography off an answer
units         what a number counts or measures
rational      reads a plain number, exactly
notations     other bases, ratios, times, residues, choices
phrases       answers in words
environments  matrices and systems of equations
values        reads an answer: a number, a notation, a list of answers, or text
expression    reads a small formula as a tree
bounds        arithmetic with a bound on its error
probe         are two formulas the same, by their values?
relations     equations, inequalities, sets of real numbers
renamed       letters that only count, under one name
scalars       are two single values the same?
compare       are two values the same, lists and names included?
symbolic      which questions Math-Verify gets, and how
"""
