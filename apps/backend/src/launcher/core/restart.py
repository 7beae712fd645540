"""Arithmetic of restarts: how long to wait, and when to give up."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.model.spec import Restart

JITTER = 0.2
"""Relative width of the jitter: a delay is spread over ± 20 % (the figure of Akka's ``BackoffSupervisor``)."""


def backoff_delay(policy: Restart, failures: int, ready_for: float) -> float:
    """Return the seconds to wait before the next start, without jitter.

    Args:
        policy: the numbers.
        failures: consecutive failures before this one.
        ready_for: how long the incarnation that just ended was ready.

    A component that had been ready for ``immediate_after`` seconds is started again at once the first time; after that, and
    whenever it did not live that long, the delay doubles from ``delay`` up to ``max_delay``.
    """
    if failures == 0 and ready_for >= policy.immediate_after:
        return 0.0
    # The exponent is bounded so that a year of failures cannot overflow a float.
    return min(policy.max_delay, policy.delay * 2.0 ** min(failures, 64))


def jittered(delay: float, name: str, incarnation: int) -> float:
    """Spread ``delay`` by up to ± 20 %, always the same way for the same incarnation of the same component.

    Components that died of one cause thereby do not come back in step. The spread is a hash rather than a random number, so that the
    time of the next attempt is known when the decision is made and can be shown.
    """
    unit = zlib.crc32(f"{name}:{incarnation}".encode()) / 0xFFFFFFFF
    return delay * (1.0 - JITTER + 2.0 * JITTER * unit)


def within_window(restarts: tuple[float, ...], now: float, window: float) -> tuple[float, ...]:
    """Return the restart times that lie within ``window`` seconds before ``now``."""
    return tuple(at for at in restarts if now - at <= window)


def window_used_up(restarts: tuple[float, ...], now: float, policy: Restart) -> bool:
    """Whether one more restart would exceed the restart window ("more than ``max_restarts`` in ``window``", as in Erlang/OTP)."""
    return len(within_window(restarts, now, policy.window)) >= policy.max_restarts
