"""The servers these tests run against."""

from __future__ import annotations

from tests.backend_servers import servers, settings

__all__ = ["servers", "settings"]
