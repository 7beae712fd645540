"""What one asking of a component, whether it is ready, has led to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one check of a component.

    Attributes:
        latency: duration of the check in seconds.
        reason: why it is not ready, in one line; empty when it is.
    """

    ok: bool
    latency: float = 0.0
    reason: str = ""
