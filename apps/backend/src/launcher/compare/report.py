"""What was found, as one JSON document and as tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

from launcher.compare.figures import BY_KEY, Figure, Spread, Spreads, summed
from launcher.compare.verdict import ENOUGH, Judgement, Outcome, Pair, judged, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.compare.findings import Blow, Findings
    from launcher.compare.plan import Comparison

SCHEMA = 1
"""Version of the document; a field may be added under the same number, but none may change its meaning or vanish."""

DIGITS = 4
"""Digits after the point in the document."""

FEW = 3
"""Components of one process that are called by their names."""

INSIDE_NOISE = "inside the noise"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown.

    Attributes:
        name: of the backend.
        comparison: what was asked for.
        spreads: the runs of each mode, summed up.
        pairs: every two modes by every figure.
        judgements: of the gates.
        findings: what was measured.
        machine: what it was measured on.
        measured: when, in seconds since 1970.
    """

    name: str
    comparison: Comparison
    spreads: Spreads
    pairs: Sequence[Pair]
    judgements: Sequence[Judgement]
    findings: Findings
    machine: Mapping[str, object]
    measured: float

    @property
    def moment(self) -> datetime:
        """When it was measured."""
        return datetime.fromtimestamp(self.measured, UTC)


def report(
    name: str, comparison: Comparison, findings: Findings, machine: Mapping[str, object], measured: float
) -> Report:
    """Sum up, compare and judge."""
    spreads = summed(findings.runs)
    return Report(
        name,
        comparison,
        spreads,
        pairs(spreads, comparison.runs),
        judged(comparison.gates, spreads),
        findings,
        machine,
        measured,
    )


def document(report: Report) -> dict[str, Any]:
    """Return everything as it is printed with ``-o json``."""
    comparison = report.comparison
    return {
        "schema": SCHEMA,
        "name": report.name,
        "measured": report.moment.isoformat(timespec="seconds"),
        "machine": dict(report.machine),
        "modes": list(comparison.modes),
        "runs": comparison.runs,
        "settle": comparison.settle,
        "load": list(comparison.load),
        "figures": [
            {
                "key": figure.key,
                "label": figure.label,
                "unit": figure.unit,
                "modes": {
                    mode: _plain(asdict(spread)) | {"runs": _values(report, figure.key, mode)}
                    for mode, spread in by_mode.items()
                },
            }
            for figure, by_mode in _figures(report)
        ],
        "pairs": [_plain(asdict(pair)) | {"ahead": pair.ahead or None} for pair in report.pairs],
        "blast": {
            mode: [_plain(asdict(blow)) for blow in blows] for mode, blows in report.findings.blows.items()
        },
        "gates": [
            {
                "figure": judgement.gate.figure,
                "limit": judgement.gate.limit,
                "ratio": None if judgement.ratio is None else round(judgement.ratio, DIGITS),
                "outcome": str(judgement.outcome),
                "reason": judgement.reason,
            }
            for judgement in report.judgements
        ],
        "notes": list(report.findings.notes),
    }


def _values(report: Report, key: str, mode: str) -> list[float]:
    return [round(run[key], DIGITS) for run in report.findings.runs[mode] if key in run]


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without false precision."""
    return {key: round(value, DIGITS) if isinstance(value, float) else value for key, value in fields.items()}


def _figures(report: Report) -> Iterator[tuple[Figure, Mapping[str, Spread]]]:
    for key, by_mode in report.spreads.items():
        yield BY_KEY[key], by_mode


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header, with a title; the layout is somebody else's business."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> list[Table]:
    """Return what is shown in a terminal."""
    found = [_figures_table(report)]
    if any(report.findings.blows.values()):
        found.append(_blast_table(report))
    if report.judgements:
        found.append(_gates_table(report))
    return found


def _figures_table(report: Report) -> Table:
    modes = report.comparison.modes
    couples = list(combinations(modes, 2))
    rows = []
    for figure, by_mode in _figures(report):
        label = f"{figure.label}, {figure.unit}" if figure.unit else figure.label
        cells = [spread_text(figure, by_mode[mode]) if mode in by_mode else "-" for mode in modes]
        told = {(pair.one, pair.other): pair_text(pair) for pair in report.pairs if pair.figure == figure.key}
        rows.append((label, *cells, *(told.get(couple, "-") for couple in couples)))
    compared = [f"{one} : {other}".upper() for one, other in couples]
    return Table("", ("FIGURE", *(mode.upper() for mode in modes), *compared), tuple(rows))


def spread_text(figure: Figure, spread: Spread) -> str:
    """Return a median, with the lowest and the highest where they differ from it."""
    median, low, high = (figure.shown(value) for value in (spread.median, spread.low, spread.high))
    return median if low == high else f"{median} ({low} to {high})"


def ratio_text(ratio: float | None) -> str:
    """Return a ratio in percent."""
    return "-" if ratio is None else f"{100 * ratio:.0f} %"


def pair_text(pair: Pair) -> str:
    """Return the ratio of two modes, unless it lies inside the noise."""
    return ratio_text(pair.ratio) if pair.ahead else INSIDE_NOISE


def killed_text(blow: Blow) -> str:
    """Return whose process was killed."""
    return (
        ", ".join(blow.killed) if len(blow.killed) <= FEW else f"{len(blow.killed)} components in one process"
    )


def blow_text(blow: Blow) -> tuple[str, str, str]:
    """Return what ended with the process, who else noticed, and when all was ready again."""
    noticed = ", ".join(blow.noticed) or "nobody"
    if blow.launcher_ended:
        return "everything, the launcher too", noticed, "never by itself"
    again = "never" if blow.seconds is None else f"after {blow.seconds:.2f} s"
    return killed_text(blow), noticed, again


def _blast_table(report: Report) -> Table:
    rows = [
        (mode, killed_text(blow), *blow_text(blow))
        for mode, blows in report.findings.blows.items()
        for blow in blows
    ]
    header = ("MODE", "KILLED", "ENDED", "OTHERS THAT NOTICED", "ALL READY AGAIN")
    return Table("blast radius: every process that runs components was killed once", header, tuple(rows))


def _gates_table(report: Report) -> Table:
    rows = [
        (
            BY_KEY[judgement.gate.figure].label,
            f"at most {ratio_text(judgement.gate.limit)}",
            ratio_text(judgement.ratio),
            outcome_text(judgement),
        )
        for judgement in report.judgements
    ]
    return Table("gates, single : multi", ("FIGURE", "WANTED", "MEASURED", "OUTCOME"), tuple(rows))


def outcome_text(judgement: Judgement) -> str:
    """Return how a gate was judged, and why where that is not plain."""
    outcome = "not shown" if judgement.outcome is Outcome.UNDECIDED else str(judgement.outcome)
    return f"{outcome}: {judgement.reason}" if judgement.reason else outcome


def caption(report: Report) -> list[str]:
    """Return what one has to know to read the figures."""
    comparison, machine = report.comparison, report.machine
    runs = comparison.runs
    lines = [
        f"{'medians of ' if runs > 1 else ''}{runs} run{'s' if runs > 1 else ''} of each mode in turns"
        + (", in brackets the lowest and the highest" if runs > 1 else "")
        + f"; {machine['cores']} cores, {machine['system']} {machine['architecture']}, Python {machine['python']}"
    ]
    if len(comparison.modes) == 1:
        return lines
    if runs < ENOUGH:
        lines.append(f"so few runs say too little about noise, so nothing is ranked; --runs {ENOUGH} or more")
    elif any(not pair.ahead for pair in report.pairs):
        lines.append(
            f"{INSIDE_NOISE}: a run of one mode could have been a run of the other; more --runs or a longer --settle may tell"
        )
    return lines
