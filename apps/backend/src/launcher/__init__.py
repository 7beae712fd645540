"""Declare a Python backend once; run it as one process or as many supervised ones."""

from __future__ import annotations

__version__ = "0.1.0"
