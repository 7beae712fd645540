"""What was measured, before anything is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Blow:
    """One process that was killed.

    Attributes:
        killed: the components that ran in it.
        noticed: components of other processes that left their phase or began a new life.
        launcher_ended: it was the process of the launcher itself, and so everything ended.
        seconds: until all that had been ready was ready again; ``None`` when it never was.
        left: processes of the backend that outlived the launcher.
    """

    killed: tuple[str, ...]
    noticed: tuple[str, ...]
    launcher_ended: bool
    seconds: float | None
    left: int = 0


@dataclass(slots=True)
class Findings:
    """What was measured.

    Attributes:
        runs: the values of the runs that count, by mode.
        blows: what was killed and who noticed, by mode; empty when nothing was killed.
        notes: what a reader should know about how the figures came about.
    """

    runs: dict[str, list[dict[str, float]]]
    blows: dict[str, list[Blow]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a note once, however often it is made."""
        if text not in self.notes:
            self.notes.append(text)
