"""A judge's votes on rows that no rule can decide, and how often it agrees with the rules."""
