"""``distill train``: turns traces into training tokens, proves them right, and trains on them."""
