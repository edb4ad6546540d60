"""What runs in a jail: libraries that evaluate parts of a row.

    symbolic       Math-Verify
    reasoning_gym  the scorers of reasoning_gym

Each is one file that goes into the jail by itself, so neither imports anything from distill.
"""
