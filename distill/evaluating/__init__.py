"""``distill eval``: a benchmark's questions, a student's answers, scores with intervals."""
