"""Benchmarks of distill against the least code that does the same. Not part of the package."""
