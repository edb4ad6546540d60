"""``distill push``: what is sent, and cards whose numbers all come from the files beside them.

``dataset`` and ``student`` write the cards, ``bundle`` collects what is sent, ``keys`` refuses
credentials in it, and ``hub`` sends it.
"""

from distill.publishing.dataset import dataset_card
from distill.publishing.student import student_card

__all__ = ["dataset_card", "student_card"]
