"""Credentials: what keys, tokens and passwords look like, and finding them in text.

``kinds`` (the table of their shapes), ``doubt`` (what only looks like one), ``find`` (in texts,
columns and bytes), ``escapes`` (letters written otherwise),
``environment`` (the values that this process itself holds).
"""
