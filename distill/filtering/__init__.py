"""The parts of ``distill filter``, in the order in which they work. Holds no command.

prepare     a recipe made ready
folder      what in OUT may be replaced
units       DATA as ranges of rows of Parquet files, each read by itself
steps       signals and rules in the order in which they are tried
hashes      what tells a row from another: hashes of its texts, its size
benchmarks  rows that ask what a benchmark asks
copies      near copies of a text, over the whole set
stored      what was measured before and still holds
measure     one unit: measures what is not stored, judges
write       one unit: its rows to kept/ and dropped/
shuffle     kept/ in another order
report      what became of the rows, in numbers
explain     one row, step by step; examples of a reason
"""
