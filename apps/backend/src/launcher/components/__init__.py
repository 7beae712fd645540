"""What is run: applications and agents, each in a context of its own, on whichever loop its host drives."""
