"""Credentials: what keys, tokens and passwords look like, and finding them in text.

``kinds`` (the table of their shapes), ``doubt`` (what only looks like one), ``find`` (in texts,
columns and bytes), ``environment`` (the values that this process itself holds).
"""
