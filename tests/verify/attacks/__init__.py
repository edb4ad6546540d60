"""Hostile programs and what they try. Runs none of them."""
