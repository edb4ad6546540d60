"""What there is, shown on the terminal; nothing is changed, except by a repair."""
