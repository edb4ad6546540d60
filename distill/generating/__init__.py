"""``distill generate``: a run folder is asked to the end of its plan and exported to traces/."""
