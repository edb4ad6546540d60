"""Runs untrusted code, which models wrote or rows contain, isolated from this machine."""
