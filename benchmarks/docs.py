"""Write the figures of the last measurements into the documentation: `python3 dev bench docs`.

Only what stands between `<!-- figures:NAME -->` and `<!-- /figures -->` is replaced.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.modes import ratio, read
from benchmarks.peers import report
from benchmarks.support.measure import RESULTS, Spread, table
from benchmarks.support.newsdesk import Variant

ROOT = Path(__file__).resolve().parents[1]
WORDS = Path(__file__).parent / "support" / "words.toml"
"""How the table is worded in each language."""

COMPARISON = "docs/guide/comparison.md"
DECISION = "docs/architecture/decisions/20250901-process-management-architecture.md"


@dataclass(frozen=True, slots=True)
class Words:
    """The same table in one language.

    Attributes:
        rows: what a row is called, by the name of its figure.
        legacy: what the variant without a launcher is called.
        to: stands between the lowest and the highest value.
        cannot_rank: takes `pairs` of variants whose spreads overlap.
        caption: takes `runs`, `cores`, `system`, `python` and `measured`.
    """

    rows: Mapping[str, str]
    legacy: str
    to: str
    cannot_rank: str
    caption: str


UNITS = {
    "memory_mib": ("{:.0f}", " MiB"),
    "idle_cpu_percent": ("{:.2f}", " %"),
    "ready_seconds": ("{:.1f}", " s"),
    "stop_seconds": ("{:.1f}", " s"),
    "processes": ("{:.0f}", ""),
}
"""How a value is written, and its unit."""


def main() -> int:
    """Write the documentation anew and say which pages changed."""
    for page in update():
        print(page)
    return 0


def update() -> list[str]:
    """Replace the blocks for which there are figures; return the pages that changed.

    Raises:
        SystemExit: there are no figures, or a page has no place for them.
    """
    if not (RESULTS / "modes.json").exists():
        raise SystemExit("there are no figures yet\nhint: python3 dev bench modes")
    modes = json.loads((RESULTS / "modes.json").read_text())
    english, chinese = (Words(**words) for words in tomllib.loads(WORDS.read_text()).values())
    starts = RESULTS / "starts.json"
    proof = json.loads(starts.read_text()) if starts.exists() else None
    blocks: list[tuple[str, str, Callable[[], str]]] = [
        ("README.md", "modes", lambda: modes_block(modes, english)),
        ("README.zh-CN.md", "modes", lambda: modes_block(modes, chinese)),
        ("docs/guide/modes.md", "modes", lambda: modes_block(modes, english)),
        (DECISION, "goals", lambda: goals_block(modes, proof)),
    ]
    peers = RESULTS / "peers.json"
    if peers.exists():
        found = report.blocks(json.loads(peers.read_text()))
        blocks += [(COMPARISON, name, partial(str, text)) for name, text in found.items()]
    soak = RESULTS / "soak.json"
    if soak.exists():
        blocks.append((COMPARISON, "soak", lambda: soak_block(json.loads(soak.read_text()))))
    changed = [page for page, name, block in blocks if replaced(ROOT / page, name, block())]
    return list(dict.fromkeys(changed))


def replaced(page: Path, name: str, block: str) -> bool:
    """Put a block between its marks; return whether the page is another one now.

    Raises:
        SystemExit: the page has not exactly one place for it.
    """
    before = page.read_text()
    marks = re.compile(rf"(<!-- figures:{name} -->\n).*?(<!-- /figures -->)", re.DOTALL)
    after, count = marks.subn(lambda found: f"{found[1]}{block}\n{found[2]}", before)
    if count != 1:
        raise SystemExit(f"{page} has {count} places for figures:{name} instead of one")
    if after != before:
        page.write_text(after)
    return after != before


def modes_block(document: Mapping[str, Any], words: Words) -> str:
    """What each variant costs, and what it was measured on."""
    spreads = read(document)
    rows = []
    for figure, name in words.rows.items():
        cells = [_cell(figure, spreads[figure][variant], words) for variant in reversed(Variant)]
        share = f"{100 * ratio(spreads, figure, Variant.SINGLE, Variant.MULTI):.0f} %"
        rows.append([name + _unranked(spreads[figure], words), *cells, share])
    single, multi = f"`{Variant.SINGLE}`", f"`{Variant.MULTI}`"
    header = ["", single, multi, words.legacy, f"{single} : {multi}"]
    machine = document["machine"]
    caption = words.caption.format(
        runs=document["runs"],
        cores=machine["cores"],
        system=f"{machine['system']} {machine['architecture']}",
        python=machine["python"],
        measured=document["measured"],
    )
    return f"{table(header, rows)}\n\n{caption}"


def _cell(figure: str, spread: Spread, words: Words) -> str:
    form, unit = UNITS[figure]
    median, low, high = (form.format(value) for value in (spread.median, spread.low, spread.high))
    within = f" ({low}{words.to}{high})" if low != high else ""
    return f"{median}{unit}{within}"


def _unranked(by_variant: Mapping[Variant, Spread], words: Words) -> str:
    """Which variants cannot be ranked, because a run of one could have been a run of the other."""
    names = {
        Variant.SINGLE: f"`{Variant.SINGLE}`",
        Variant.MULTI: f"`{Variant.MULTI}`",
        Variant.LEGACY: words.legacy,
    }
    order = list(reversed(Variant))
    pairs = [
        f"{names[one]} / {names[other]}"
        for index, one in enumerate(order)
        for other in order[index + 1 :]
        if by_variant[one].overlaps(by_variant[other])
    ]
    return words.cannot_rank.format(pairs=", ".join(pairs)) if pairs else ""


def goals_block(document: Mapping[str, Any], starts: Mapping[str, Any] | None) -> str:
    """What was asked for and what was measured."""
    spreads = read(document)
    shown = {
        "memory_mib": "memory, single : multi",
        "idle_cpu_percent": "idle CPU, single : multi",
        "ready_seconds": "time until all is ready, single : one process per service without the launcher",
    }
    rows = []
    for goal in document["goals"]:
        figure, other = goal["figure"], Variant(goal["against"])
        one, many = spreads[figure][Variant.SINGLE], spreads[figure][other]
        values = f"{_plain(figure, one)} : {_plain(figure, many)}"
        note = ", the spreads overlap" if one.overlaps(many) else ""
        measured = f"{100 * goal['measured']:.0f} % ({values}{note})"
        if other is not Variant.MULTI:
            measured += (
                f"; single : multi {100 * ratio(spreads, figure, Variant.SINGLE, Variant.MULTI):.0f} %"
            )
        rows.append([shown[figure], f"≤ {100 * goal['limit']:.0f} %", measured])
    rows += [
        ["starts that succeed", "≥ 95 %", _starts(starts)],
        ["branch coverage of the launcher", "≥ 85 %", "`python3 dev test`"],
    ]
    return table(["goal", "required", "measured"], rows)


def soak_block(document: Mapping[str, Any]) -> str:
    """What many restarts have left behind in the launcher."""
    rows = [
        [
            name.replace("rss_mib", "resident memory, MiB,"),
            f"{one['first']:g}",
            f"{one['last']:g}",
            f"{one['per_thousand']:+.3f} ± {one['uncertainty']:.3f}",
            "flat" if one["flat"] else "grows",
        ]
        for name, one in document["trends"].items()
    ]
    ended = f" It ended early: {document['problem']}." if document["problem"] else ""
    found = table(["", "at first", "at last", "per 1,000 restarts", ""], rows)
    return f"{found}\n\n{document['restarts']:,} restarts, {document['measured']}.{ended}"


def _plain(figure: str, spread: Spread) -> str:
    form, unit = UNITS[figure]
    return form.format(spread.median) + unit


def _starts(proof: Mapping[str, Any] | None) -> str:
    if proof is None:
        return "`python3 dev bench modes --starts 100`"
    shares = [f"{mode} {found['succeeded']} of {proof['cycles']}" for mode, found in proof["starts"].items()]
    return ", ".join(shares)


if __name__ == "__main__":
    sys.exit(main())
