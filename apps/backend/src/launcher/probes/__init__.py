"""Probes: knowing whether a component or a dependency is ready."""
