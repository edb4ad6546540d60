"""The ledger of a run: what was asked, every try, every answer verbatim; one SQLite file.

    rows    what goes in and out
    schema  the tables, and how the file is opened
    store   writes and reads them
    wants   which answers a run wants, and what needs no more asking
    sums    counts and costs over the whole run

It makes no request and reads no recipe.
"""

from distill.ledger.rows import DOUBTED, Answered, Asked, Attempt, Open, State
from distill.ledger.store import Ledger
from distill.ledger.wants import Wants

__all__ = ["DOUBTED", "Answered", "Asked", "Attempt", "Ledger", "Open", "State", "Wants"]
