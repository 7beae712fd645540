"""The key that opens the control interface over TCP."""

from __future__ import annotations

from launcher.config.fields import PORT, Field

API = Field(
    "api",
    PORT,
    "Port of the control interface over TCP, on 127.0.0.1 only, with a token.",
    default_doc="none: the control socket alone",
    constraint="no port of a component",
    example="8100",
)
