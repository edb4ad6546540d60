"""``distill train``: traces become training tokens, with the proof that they are right."""
