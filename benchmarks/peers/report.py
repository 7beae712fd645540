"""What was measured, as a document, as text for a terminal, and as blocks for the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.figures import (
    GROUPS,
    LEAST_ROUNDS,
    Figure,
    Ratio,
    Rounds,
    ranking,
    ratio,
    spread,
    spreads,
)
from benchmarks.peers.targets import Judged, Verdict, as_document
from benchmarks.peers.variants import VARIANTS
from benchmarks.peers.variants.base import Scope
from benchmarks.support.line import Line
from benchmarks.support.load import AT_ONCE
from benchmarks.support.measure import Spread, table

COMPARED = ("launcher multi", "launcher single")
"""The variants whose ratio to each other variant is kept."""

RANKED = (
    "ready_seconds",
    "pss_mib",
    "manager_pss_mib",
    "idle_percent",
    "manager_idle_percent",
    "stop_seconds",
    "crash200_serving_ms",
    "restart200_new_seconds",
)
"""The figures that are ranked: amounts of which more or less of the same thing is used."""

WHOLE = [name for name, variant in VARIANTS.items() if variant.scope is not Scope.GATEWAY]
"""The variants that run the whole backend; figures of those that run only a part of it are shown, and not compared."""

PEERS = [name for name, variant in VARIANTS.items() if variant.scope is Scope.PEER]
"""The process managers among them."""

NOTHING = "-"
"""Stands in a table for what a variant has not."""

SHOWN = {figure.name: figure for figures in GROUPS.values() for figure in figures}


def document(
    rounds: Rounds,
    results: Sequence[Judged],
    *,
    versions: Mapping[str, str],
    missing: Mapping[str, str],
    problems: Sequence[str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that is kept of a run."""
    names = list(dict.fromkeys(variant for one in rounds for variant in one))
    figures = {name: sorted({figure for one in rounds for figure in one.get(name, {})}) for name in names}
    return {
        "rounds": len(rounds),
        "preliminary": len(rounds) < LEAST_ROUNDS,
        **settings,
        "versions": dict(versions),
        "left_out": dict(missing),
        "problems": list(problems),
        "targets": as_document(results),
        "figures": {
            name: {figure: spread(rounds, name, figure) for figure in figures[name]} for name in names
        },
        "ratios": _ratios(rounds, names),
        "rankings": {
            figure: ranking(spreads(rounds, figure, WHOLE)) if len(rounds) >= LEAST_ROUNDS else []
            for figure in RANKED
        },
        "lines": lines(rounds),
        "each_round": rounds,
    }


def _ratios(rounds: Rounds, names: Sequence[str]) -> dict[str, Any]:
    compared = {}
    for one in COMPARED:
        for other in (name for name in names if name in WHOLE and name != one):
            found = {figure: ratio(rounds, figure, one, other) for figure in RANKED}
            compared[f"{one} : {other}"] = {
                figure: value for figure, value in found.items() if value is not None
            }
    return compared


def lines(rounds: Rounds) -> dict[str, Line]:
    """How time and memory grow with the number of services."""
    found: dict[str, list[tuple[float, float]]] = {"ready_seconds": [], "pss_mib": []}
    for one in rounds:
        for variant, figures in one.items():
            name, _, services = variant.partition(", ")
            if name == COMPARED[0] and services.endswith(" services"):
                for figure, points in found.items():
                    points.append((float(services.split()[0]), figures[figure]))
    return {figure: Line.through(points) for figure, points in found.items() if points}


def printed(kept: Mapping[str, Any]) -> str:
    """The tables, what could not be measured, and the targets."""
    parts = []
    for group in GROUPS:
        parts += [group.upper(), group_table(kept, group), ""]
    parts += [
        managers_table(kept),
        "",
        ratios_table(kept),
        "",
        ranking_text(kept),
        "",
        lines_text(kept),
        "",
        targets_table(kept),
        "",
        method(kept),
    ]
    return "\n".join(parts)


def measured(kept: Mapping[str, Any], variant: str, figure: str) -> Spread | None:
    """A spread of a document, which may have come from a file."""
    found = kept["figures"].get(variant, {}).get(figure)
    return found if found is None or isinstance(found, Spread) else Spread(**found)


def group_table(kept: Mapping[str, Any], group: str) -> str:
    """A row for each variant, a column for each figure."""
    columns = GROUPS[group]
    rows = []
    for name in VARIANTS:
        found = [measured(kept, name, figure.name) for figure in columns]
        if any(found):
            rows.append(
                [
                    name,
                    *(cell(one, figure) for one, figure in zip(found, columns, strict=True)),
                ]
            )
    return table(["", *(figure.shown for figure in columns)], rows)


def cell(found: Spread | None, figure: Figure) -> str:
    """A median, with the lowest and the highest in brackets where they differ."""
    if found is None:
        return NOTHING
    median, low, high = (f"{value:.{figure.digits}f}" for value in (found.median, found.low, found.high))
    return median if low == high else f"{median} ({low} to {high})"


def managers_table(kept: Mapping[str, Any]) -> str:
    """What each process of each manager costs."""
    size, share = (
        Figure("pss_mib", "PSS, MiB", 1),
        Figure("idle_percent", "CPU at rest, %", 2),
    )
    rows = [
        [
            name,
            figure.removeprefix("pss_mib of "),
            cell(measured(kept, name, figure), size),
            cell(measured(kept, name, figure.replace("pss_mib", "idle_percent")), share),
        ]
        for name in VARIANTS
        for figure in kept["figures"].get(name, {})
        if figure.startswith("pss_mib of ")
    ]
    return table(["", "process", size.shown, share.shown], rows)


def ratios_table(kept: Mapping[str, Any]) -> str:
    """How ours compares with the best peer, with itself in the other mode, and with a script written by hand."""
    multi, single = COMPARED
    rows = []
    for name in RANKED:
        found = {peer: one.median for peer in PEERS if (one := measured(kept, peer, name))}
        peer = min(found, key=lambda each: found[each], default="")
        pairs = ((multi, peer), (multi, single), (single, "hand"))
        cells = [_ratio_cell(kept, name, one, other) for one, other in pairs]
        rows.append([SHOWN[name].shown, f"{cells[0]}{f', {peer}' if peer else ''}", *cells[1:]])
    return table(["", "multi : best peer", "multi : single", "single : hand"], rows)


def _ratio_cell(kept: Mapping[str, Any], figure: str, one: str, other: str) -> str:
    found = kept["ratios"].get(f"{one} : {other}", {}).get(figure)
    if found is None:
        return NOTHING
    share = found if isinstance(found, Ratio) else Ratio(**found)
    ours, theirs = measured(kept, one, figure), measured(kept, other, figure)
    if not kept["preliminary"] and ours and theirs and ours.overlaps(theirs):
        return "too close to rank"
    within = "" if share.low == share.high else f" ({share.low:.2f} to {share.high:.2f})"
    return f"{share.value:.2f}{within}"


def ranking_text(kept: Mapping[str, Any]) -> str:
    """Who is before whom, as far as that can be told."""
    if kept["preliminary"]:
        return f"Not ranked: {_rounds(kept)}, and the spread of fewer than {LEAST_ROUNDS} says nothing."
    rows = [
        [SHOWN[figure].shown, " < ".join(" = ".join(group) for group in groups)]
        for figure, groups in kept["rankings"].items()
    ]
    return table(
        [
            "from least to most",
            "`=`: too close to rank, a run of one could have been one of the other",
        ],
        rows,
    )


def lines_text(kept: Mapping[str, Any]) -> str:
    """The two lines in one sentence each."""
    units = {"ready_seconds": ("all ready", "s", 2), "pss_mib": ("PSS", "MiB", 1)}
    parts = []
    for figure, found in kept["lines"].items():
        line = found if isinstance(found, Line) else Line(**found)
        name, unit, digits = units[figure]
        parts.append(
            f"{name}: {line.intercept:.{digits}f} {unit} + {line.slope:.{digits + 1}f} {unit} per service"
        )
    sizes = [
        int(name.split(", ")[1].split()[0]) for name in kept["figures"] if ", " in name and "services" in name
    ]
    told = " and ".join([", ".join(map(str, sorted(sizes)[:-1])), str(max(sizes))]) if sizes else ""
    return f"`multi` with {told} services: {'; '.join(parts)}." if parts else "How it grows was not measured."


def targets_table(kept: Mapping[str, Any]) -> str:
    """Every target with its verdict, missed ones like the others."""
    rows = []
    for one in kept["targets"]:
        against = f" · {one['against']}" if one["against"] else ""
        verdict = one["verdict"] + (
            ", too close to tell" if one["close"] and one["verdict"] != Verdict.OPEN else ""
        )
        stretch = " (stretch)" if one["stretch"] else ""
        value = NOTHING if one["value"] is None else f"{one['value']:.3g}"
        within = (
            ""
            if one["low"] is None or one["low"] == one["high"]
            else f" ({one['low']:.3g} to {one['high']:.3g})"
        )
        rows.append(
            [
                one["what"] + stretch,
                f"≤ {one['bound']:g}{against}",
                value + within,
                verdict,
            ]
        )
    return table(["target", "bound", "measured", ""], rows)


def method(kept: Mapping[str, Any]) -> str:
    """On what, with what and how often, and what is missing."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(kept["versions"].items()))
    parts = [f"Medians of {_rounds(kept)}, in brackets the lowest and the highest. {versions}."]
    if "machine" in kept:
        machine = kept["machine"]
        where = f"{machine['system']} {machine['architecture']}, Python {machine['python']}"
        parts.append(f"{machine['cores']} cores, {where}, {kept['measured']}.")
    parts += [f"Left out: {name}, because {reason}." for name, reason in kept["left_out"].items()]
    parts += [f"Not measured: {problem.splitlines()[0]}." for problem in kept["problems"]]
    if thinner := _thinner(kept):
        parts.append(
            f"Some requests were not sent, because {AT_ONCE:,} were waiting already: {', '.join(thinner)}."
        )
    if kept["preliminary"]:
        parts.append(
            "**Preliminary**: taken to see that everything can be measured, on a machine that had other work to do."
        )
    return " ".join(parts)


def _thinner(kept: Mapping[str, Any]) -> list[str]:
    """The loads that were smaller than asked for."""
    return [
        f"{name} in {figure.removesuffix('_unsent')}"
        for name in VARIANTS
        for figure in kept["figures"].get(name, {})
        if figure.endswith("_unsent") and (found := measured(kept, name, figure)) and found.high
    ]


def _rounds(kept: Mapping[str, Any]) -> str:
    return f"{kept['rounds']} round" + ("s" if kept["rounds"] != 1 else "")


def blocks(kept: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the documentation, by the name of its place."""
    return {f"peers-{group.replace(' ', '-')}": group_table(kept, group) for group in GROUPS} | {
        "peers-managers": managers_table(kept),
        "peers-ratios": ratios_table(kept),
        "peers-ranking": ranking_text(kept),
        "peers-scale": lines_text(kept),
        "peers-targets": targets_table(kept),
        "peers-method": method(kept),
    }
