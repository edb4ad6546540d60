"""Cards: the README.md of a pushed set or student. Every number is read from the files beside it.

``dataset`` (of a filtered set), ``student`` (of a trained one), ``markdown`` (what both are made
of). Nothing here sends or writes anything.
"""

from distill.cards.dataset import dataset_card
from distill.cards.student import student_card

__all__ = ["dataset_card", "student_card"]
