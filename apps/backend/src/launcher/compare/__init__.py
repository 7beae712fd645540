"""The same backend, started in each mode and measured: what a mode costs and what it protects from."""
