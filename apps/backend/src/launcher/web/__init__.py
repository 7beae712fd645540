"""The control interface: HTTP and JSON over a unix socket that only its owner can open."""
