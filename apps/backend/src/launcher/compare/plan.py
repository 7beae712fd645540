"""What is to be compared: the words of the command line as checked values, and the order of the runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from launcher.compare.figures import BY_KEY
from launcher.compare.verdict import ENOUGH, MULTI, SINGLE, USUAL_GATES, Gate
from launcher.core.suggest import did_you_mean
from launcher.errors import UsageError
from launcher.model.spec import ComponentSpec, Kind, Mode, ProbeKind

MODES = tuple(mode.value for mode in Mode if mode is not Mode.AUTO)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be done.

    Attributes:
        modes: at least one, in the order of the columns.
        runs: of each mode that count.
        settle: seconds that a backend is left alone before it is looked at, and over which its CPU at rest is counted.
        load: a program with its arguments that is run while the backend is up; empty for none.
        requests: path by ASGI component; under an empty name the path for all others.
        gates: what is demanded.
        blast: whether components are killed to see who notices.
    """

    modes: tuple[str, ...]
    runs: int = 3
    settle: float = 2.0
    load: tuple[str, ...] = ()
    requests: Mapping[str, str] | None = None
    gates: tuple[Gate, ...] = ()
    blast: bool = True

    def turns(self) -> Iterator[tuple[int, str]]:
        """Return the runs in their order; the turn 0 comes first and does not count.

        The modes take turns, and each turn begins with another one, so that whatever else the machine does hits all of them alike.
        """
        for turn in range(self.runs + 1):
            first = turn % len(self.modes)
            for mode in (*self.modes[first:], *self.modes[:first]):
                yield turn, mode


def checked(comparison: Comparison) -> Comparison:
    """Return the comparison when what it asks for can be.

    Raises:
        UsageError: there are too few runs, or a gate has nothing to compare.
    """
    if comparison.runs < 1:
        raise UsageError(f"cannot compare after {comparison.runs} runs", hint="--runs takes 1 or more")
    if comparison.gates and not {SINGLE, MULTI} <= set(comparison.modes):
        raise UsageError(
            "a gate compares single with multi, and not both are run",
            hint="leave --modes out, or name both: --modes single,multi",
        )
    if comparison.gates and comparison.runs < ENOUGH:
        raise UsageError(
            f"{comparison.runs} runs of each mode say too little about noise to judge a gate",
            hint=f"--runs {ENOUGH} or more; the default is 3",
        )
    return comparison


def modes_from(text: str) -> tuple[str, ...]:
    """Return ``single,multi`` as modes.

    Raises:
        UsageError: a mode is unknown, or given twice, or none is given.
    """
    modes = tuple(part.strip() for part in text.split(",") if part.strip())
    for mode in modes:
        if mode not in MODES:
            raise UsageError(f'there is no mode "{mode}" to compare', hint=did_you_mean(mode, MODES))
    if not modes or len(set(modes)) != len(modes):
        raise UsageError(
            f'--modes takes each mode once, not "{text}"', hint="for example --modes single,multi"
        )
    return modes


def gates_from(text: str) -> tuple[Gate, ...]:
    """Return ``memory=0.7,cpu=0.7`` as gates; an empty text gives the usual ones.

    Raises:
        UsageError: a figure is unknown or named twice, or a limit is no positive number.
    """
    if not text:
        return USUAL_GATES
    gates = tuple(_gate(part) for part in text.split(","))
    if len({gate.figure for gate in gates}) != len(gates):
        raise UsageError(f'--gate names a figure twice: "{text}"', hint="give each figure one limit")
    return gates


def _gate(text: str) -> Gate:
    figure, equals, number = text.strip().partition("=")
    if figure not in BY_KEY:
        hint = did_you_mean(figure, BY_KEY, what="figures")
        raise UsageError(f'--gate does not know "{figure}"', hint=f"{hint}; write --gate=memory=0.7,cpu=0.7")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not equals or not 0 < limit < math.inf:
        raise UsageError(
            f'--gate takes FIGURE=RATIO, not "{text.strip()}"',
            hint="0.7 means that single takes at most 70 % of multi: --gate memory=0.7",
        )
    return Gate(figure, limit)


def load_from(text: str) -> tuple[str, ...]:
    """Return a command line as program and arguments; nothing of a shell but its quotes is understood.

    Raises:
        UsageError: a quotation does not end.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--load cannot be read: {error}", hint="close every quotation mark") from error


def requests_from(texts: Sequence[str]) -> dict[str, str]:
    """Return ``/path`` and ``api=/path`` as paths by component; an empty name stands for all others.

    Raises:
        UsageError: a path does not begin with a slash, or holds white space.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, slash, rest = text.partition("/")
        if not slash or (name and not name.endswith("=")) or any(letter.isspace() for letter in rest):
            raise UsageError(
                f'--request takes a path, not "{text}"',
                hint="for example --request /health or --request api=/health",
            )
        found[name.removesuffix("=")] = f"/{rest}"
    return found


def targets(components: Iterable[ComponentSpec], requests: Mapping[str, str]) -> dict[str, str]:
    """Return the path that is asked of each ASGI component: the one asked for, else that of its readiness, else ``/``.

    Raises:
        UsageError: a path is asked for of something that is no ASGI component.
    """
    found = {
        spec.name: requests.get(spec.name) or requests.get("") or _ready_path(spec)
        for spec in components
        if spec.kind is Kind.ASGI
    }
    for name in requests:
        if name and name not in found:
            raise UsageError(
                f'--request asks "{name}", which is no ASGI component',
                hint=did_you_mean(name, found, what="ASGI components"),
            )
    return found


def spread_over(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the names, the first among them, evenly spread over all."""
    return list(names[:: max(1, math.ceil(len(names) / most))])


def _ready_path(spec: ComponentSpec) -> str:
    probe = spec.ready
    return probe.target if probe and probe.kind is ProbeKind.HTTP and probe.target.startswith("/") else "/"
