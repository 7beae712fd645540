"""Settings every test shares; fixtures live beside the tests that use them."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every run, and no verdict on speed: machines differ, results must not.
settings.register_profile("repository", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repository")
