"""What was found as one page: readable from a file, by anybody, in light and in dark; it asks for nothing from elsewhere and runs nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from launcher.compare.chart import bars
from launcher.compare.figures import BY_KEY
from launcher.compare.report import (
    INSIDE_NOISE,
    blow_text,
    caption,
    killed_text,
    outcome_text,
    pair_text,
    ratio_text,
    spread_text,
)
from launcher.compare.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.compare.figures import Figure
    from launcher.compare.findings import Blow
    from launcher.compare.report import Report

STYLE = """\
:root { color-scheme: light dark;
  --back: #fbfbfa; --card: #ffffff; --text: #1c2024; --faint: #646b73; --line: #dfe2e6; --run: #1c2024;
  --c0: #2f6fb5; --c1: #d0792b; --c2: #3f8f5f; --bad: #b3372f; --warn: #9a6400; --good: #2c7a4b; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171a; --card: #1c2024; --text: #e4e7ea; --faint: #9aa2ab; --line: #343a41; --run: #f4f6f8;
  --c0: #5b97d8; --c1: #e2964f; --c2: #62b384; --bad: #f0867c; --warn: #e0b050; --good: #74c995; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 68rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: .95rem; margin: 1.1rem 0 .4rem; } .card h3 { margin: 0; } p { margin: .35rem 0; } .faint { color: var(--faint); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem .95rem; }
.card p { font-size: .87rem; } svg { display: block; width: 100%; height: auto; margin: .45rem 0 .3rem; }
svg text { font-size: 12px; fill: var(--text); } svg .mode { fill: var(--faint); } .axis { stroke: var(--line); }
.range { stroke: var(--run); stroke-width: 1.5; } .run { fill: var(--card); stroke: var(--run); stroke-width: 1.2; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .87rem; background: var(--card); }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; white-space: nowrap; font-weight: normal; }
thead th { color: var(--faint); vertical-align: bottom; } .upright { writing-mode: vertical-rl; transform: rotate(180deg); }
.mark { text-align: center; } .bad { color: var(--bad); } .warn { color: var(--warn); } .good { color: var(--good); }
.quiet { color: var(--faint); } .strong { font-weight: 600; } ul { padding-left: 1.2rem; margin: .35rem 0; }
"""

HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""

OUTCOMES = {
    Outcome.MET: ("✓", "good"),
    Outcome.MISSED: ("✗", "bad"),
    Outcome.UNDECIDED: ("?", "warn"),
}


def page(report: Report) -> str:
    """Return the page."""
    modes = " and ".join(report.comparison.modes)
    title = escape(f"{report.name}: {modes} compared")
    parts = [
        f"{HEAD}<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        f"<h1>{title}</h1>",
        f'<p class="faint">{report.moment:%Y-%m-%d %H:%M} UTC; {escape(caption(report)[0])}</p>',
        *_gates(report),
        "<h2>What each mode takes</h2>",
        *(
            f'<p class="faint">{escape(line)}</p>'
            for line in ["Less is better everywhere.", *caption(report)[1:]]
        ),
        '<div class="cards">',
        *_cards(report),
        "</div>",
        *_blast(report),
        *_figures(report),
        *_notes(report),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _gates(report: Report) -> Iterator[str]:
    if not report.judgements:
        return
    yield "<h2>Gates</h2>\n<ul>"
    for judgement in report.judgements:
        mark, colour = OUTCOMES[judgement.outcome]
        gate = judgement.gate
        measured = "" if judgement.ratio is None else f"single takes {ratio_text(judgement.ratio)} of multi, "
        yield (
            f"<li>{escape(BY_KEY[gate.figure].label)}: {measured}at most {ratio_text(gate.limit)} is wanted: "
            f'<span class="{colour} strong">{mark} {escape(outcome_text(judgement))}</span></li>'
        )
    yield "</ul>"


def _cards(report: Report) -> Iterator[str]:
    colours = {mode: number for number, mode in enumerate(report.comparison.modes)}
    for key, by_mode in report.spreads.items():
        figure = BY_KEY[key]
        runs = {mode: [run[key] for run in report.findings.runs[mode] if key in run] for mode in by_mode}
        unit = f' <span class="faint">{escape(figure.unit)}</span>' if figure.unit else ""
        yield f'<section class="card">\n<h3>{escape(figure.label)}{unit}</h3>'
        yield bars(figure, by_mode, runs, colours)
        yield f"{''.join(_verdicts(report, figure))}</section>"


def _verdicts(report: Report, figure: Figure) -> Iterator[str]:
    for pair in report.pairs:
        if pair.figure != figure.key:
            continue
        if pair.ahead:
            yield f"<p>{escape(pair.one)} takes <strong>{ratio_text(pair.ratio)}</strong> of {escape(pair.other)}</p>"
        else:
            yield f'<p class="faint">{escape(pair.one)} and {escape(pair.other)}: {INSIDE_NOISE}</p>'


def _blast(report: Report) -> Iterator[str]:
    if not report.findings.blows:
        return
    yield "<h2>Blast radius</h2>"
    yield (
        '<p class="faint">Every process that runs components was killed once, with SIGKILL. '
        '<span class="bad">■</span> ended with it, <span class="warn">▲</span> noticed, · did not notice.</p>'
    )
    for mode, blows in report.findings.blows.items():
        yield f"<h3>{escape(mode)}</h3>"
        yield from _matrix(blows) if blows else ['<p class="faint">no process was there to be killed</p>']


def _matrix(blows: Sequence[Blow]) -> Iterator[str]:
    """One row for each process that was killed, one column for each that was there."""
    names = list(dict.fromkeys(name for blow in blows for name in (*blow.killed, *blow.noticed)))
    heads = "".join(f'<th scope="col"><span class="upright">{escape(name)}</span></th>' for name in names)
    yield (
        '<div class="scroll"><table>\n<thead><tr><th scope="col">killed</th>'
        f'{heads}<th scope="col">all ready again</th></tr></thead>\n<tbody>'
    )
    for blow in blows:
        marks = "".join(_mark(blow, name) for name in names)
        again = escape(blow_text(blow)[2])
        yield f'<tr><th scope="row">{escape(killed_text(blow))}</th>{marks}<td>{again}</td></tr>'
    yield "</tbody></table></div>"
    if any(blow.launcher_ended for blow in blows):
        yield '<p class="bad">It was the process of the launcher: everything ended with it, and whoever started it has to start it again.</p>'


def _mark(blow: Blow, name: str) -> str:
    if name in blow.killed:
        return '<td class="mark bad" title="ended with it">■</td>'
    if name in blow.noticed:
        return '<td class="mark warn" title="noticed">▲</td>'
    return '<td class="mark quiet" title="did not notice">·</td>'


def _figures(report: Report) -> Iterator[str]:
    """The same figures in words, for those who copy them or cannot see the charts."""
    modes = report.comparison.modes
    heads = "".join(f'<th scope="col">{escape(mode)}</th>' for mode in modes)
    yield f'<h2>All figures</h2>\n<div class="scroll"><table>\n<thead><tr><th scope="col">figure</th>{heads}<th scope="col">compared</th></tr></thead>\n<tbody>'
    for key, by_mode in report.spreads.items():
        figure = BY_KEY[key]
        cells = "".join(
            f"<td>{escape(spread_text(figure, by_mode[mode])) if mode in by_mode else '-'}</td>"
            for mode in modes
        )
        compared = "; ".join(
            f"{pair.one} : {pair.other} {pair_text(pair)}" for pair in report.pairs if pair.figure == key
        )
        unit = f", {figure.unit}" if figure.unit else ""
        yield f'<tr><th scope="row">{escape(figure.label + unit)}</th>{cells}<td>{escape(compared)}</td></tr>'
    yield "</tbody></table></div>"


def _notes(report: Report) -> Iterator[str]:
    if report.findings.notes:
        yield "<h2>Notes</h2>\n<ul>"
        yield from (f"<li>{escape(note)}</li>" for note in report.findings.notes)
        yield "</ul>"
