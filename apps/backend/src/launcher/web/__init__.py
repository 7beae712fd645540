"""The control interface: HTTP and JSON over a unix socket that only its owner can open, and over a port for those who know a token."""
