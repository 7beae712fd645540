"""Decisions: pure functions from values to values. No clock, no I/O, no randomness; the time is always an argument."""
