"""State stores: where transitions and the last snapshot outlive the launcher, and how they get there without holding it up."""
