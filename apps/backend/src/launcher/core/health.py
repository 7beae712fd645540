"""From single checks to ready and unready: thresholds that keep a flapping answer from becoming a flapping state."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Health:
    """What the checks of one incarnation add up to.

    Attributes:
        ready: the verdict last given; ``None`` before the first.
        failures: failed checks in a row.
    """

    ready: bool | None = None
    failures: int = 0


def observe(health: Health, *, ok: bool, threshold: int) -> tuple[Health, bool | None]:
    """Fold one check into the health; the second value is the new verdict, or ``None`` when it did not change.

    One success makes ready. ``threshold`` failures in a row make unready, but only what was ready before: what is still starting simply
    is not ready yet.
    """
    if ok:
        return Health(ready=True), (None if health.ready else True)
    failures = health.failures + 1
    if health.ready and failures >= threshold:
        return Health(ready=False, failures=failures), False
    return replace(health, failures=failures), None
