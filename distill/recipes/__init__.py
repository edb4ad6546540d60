"""Recipes: YAML files that people edit, read into frozen, strict pydantic models.

``prompts`` (what to ask), ``filters`` (what to keep), ``students`` (what to train) hold the models;
``load`` finds and reads a file, applies ``--set`` and reports every mistake in one line.
"""
