"""Real PostgreSQL, Redis-protocol and Bolt servers from Python wheels, for machines where nothing is installed."""
