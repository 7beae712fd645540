"""Text work as pure functions: the same text always gives the same result."""
