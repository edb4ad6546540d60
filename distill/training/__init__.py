"""``distill train``: traces become training tokens, with the proof that they are the right ones."""
