"""What runs in a jail: libraries that evaluate what a row says. Not imported by what starts it.

    symbolic    Math-Verify
    scorers     reasoning_gym's own scorers

Each is one file that goes into the jail by itself, so neither imports anything of distill.
"""
