"""Tests here run in both kinds of jail."""

from tests.builders.jails import jailer, nsjail

__all__ = ["jailer", "nsjail"]
