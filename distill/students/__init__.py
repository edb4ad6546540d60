"""Students: how a trace becomes training tokens, and the proof that they are the right ones."""
