"""What a component declares about its health, as far as it concerns several of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from launcher.errors import Problem
from launcher.model.spec import DependencyLoss, Kind, Probe, ProbeKind

if TYPE_CHECKING:
    from launcher.config.entries import Entry
    from launcher.model.spec import Bind


class Facts(NamedTuple):
    """What the other keys of the component say.

    Attributes:
        sort: its kind with an article, for people.
        inherits: the launcher holds its port and hands the socket over.
    """

    name: str
    kind: Kind
    sort: str
    oneshot: bool
    inherits: bool
    bind: Bind | None

    @property
    def held(self) -> bool:
        """Whether the launcher holds its port."""
        return self.inherits or self.kind is Kind.ASGI


def readiness(given: Entry | None, facts: Facts, problems: list[Problem]) -> Probe | None:
    """Return the readiness probe, the declared one or the default; what contradicts it is added to ``problems``."""
    if given is None:
        return _default(facts)
    probe = given.value
    if not isinstance(probe, Probe):
        return None
    problem = _contradiction(given.where, probe, facts)
    if problem is not None:
        problems.append(problem)
    return probe


def on_dependency_loss(given: Entry | None, facts: Facts, problems: list[Problem]) -> DependencyLoss:
    """Return what follows when something that the component depends on is lost."""
    if given is None or not given.usable:
        return DependencyLoss.KEEP
    policy = DependencyLoss(str(given.value))
    if policy is not DependencyLoss.KEEP and facts.oneshot:
        problems.append(
            Problem(
                given.where,
                "is a one-shot: it runs to its end, whatever becomes of what it needed to start",
                "leave on_dependency_loss out",
            )
        )
    return policy


def heartbeat(given: Entry | None, facts: Facts, problems: list[Problem]) -> float:
    """Return within how many seconds the event loop has to turn; 0 where nobody watches."""
    if given is None or not isinstance(given.value, int | float):
        return 0.0
    if facts.oneshot:
        problems.append(
            Problem(
                given.where,
                "is a one-shot: it is never ready, and only what is ready is watched",
                "leave heartbeat out, and write start_timeout",
            )
        )
    return float(given.value)


def _contradiction(where: str, probe: Probe, facts: Facts) -> Problem | None:
    if facts.oneshot:
        return Problem(
            where,
            "is a one-shot: it is never ready, its dependents start when it has completed",
            "leave ready out",
        )
    if probe.kind is ProbeKind.HTTP and probe.target.startswith("/") and facts.bind is None:
        hint = f'write the whole URL: "http://127.0.0.1:PORT{probe.target}"'
        hint = f"give it a port, or {hint}" if facts.kind is Kind.COMMAND else hint
        return Problem(where, f"asks for {probe.target}, but {facts.name} has no port", hint)
    if probe.kind is ProbeKind.TCP and facts.held and facts.bind and probe.target == facts.bind.target:
        told = ', or write "notify"' if facts.kind is Kind.COMMAND else ""
        return Problem(
            where,
            f"a connection to {probe.target} always succeeds, since the launcher holds that port",
            f'ask for a path of it, such as "/health"{told}',
        )
    if probe.kind is ProbeKind.CALL and facts.kind is Kind.COMMAND:
        return Problem(
            where,
            f"call asks code in the process of the component, and this is {facts.sort}",
            'run the code as a program: { exec = ["python", "-c", "…"] }',
        )
    if probe.kind in {ProbeKind.NOTIFY, ProbeKind.ALIVE} and facts.kind is not Kind.COMMAND:
        return Problem(
            where,
            f"{probe.kind} is for commands, and this is {facts.sort}",
            "leave ready out: it tells itself when it has started",
        )
    return None


def _default(facts: Facts) -> Probe | None:
    if facts.kind is not Kind.COMMAND or facts.oneshot:
        return None
    # A connection to a port that the launcher holds always succeeds, so it says nothing.
    if facts.bind is None or facts.inherits:
        return Probe(ProbeKind.ALIVE, seconds=0.5)
    return Probe(ProbeKind.TCP, facts.bind.target)
