"""For all tests: no example has a deadline, as a busy machine would miss it (AGENTS.md: no wall-clock time)."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
