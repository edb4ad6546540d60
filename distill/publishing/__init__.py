"""``distill push``: what is sent, and cards whose every number is read from the files beside them.

``dataset`` (of a filtered set), ``student`` (of a trained one), ``markdown`` (what both are made
of). Nothing here sends or writes anything.
"""

from distill.publishing.dataset import dataset_card
from distill.publishing.student import student_card

__all__ = ["dataset_card", "student_card"]
