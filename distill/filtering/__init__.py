"""The parts of ``distill filter``, in the order in which they run.

run         one filter, from DATA to the report
lacks       what no row of DATA says, and the command that fits
prepare     a recipe, checked and ready
folder      what in OUT may be replaced
units       DATA as ranges of rows of Parquet files
steps       signals and rules in the order in which they are tried
rules       a recipe's rules
hashes      hashes of a row's texts, and its size
benchmarks  rows that ask what a benchmark asks
copies      near copies, over the whole set
judge       what a judge said of answers that no rule could decide
stored      what was measured before and still holds
measure     one unit: measure what is not stored, judge
selection   which of the passing rows to keep
write       one unit: its rows to kept/ and dropped/
shuffle     kept/ in another order
report      the counts in report.json
workers     processes or Ray tasks
explain     one row, step by step; examples of a reason
show        prints what explain finds
"""
