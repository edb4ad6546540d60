"""Settings of all tests: a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("distill", settings.default, deadline=None)
settings.load_profile("distill")
