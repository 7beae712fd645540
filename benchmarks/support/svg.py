"""A terminal's screen as a picture: text, no pixels, light on dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from benchmarks.support.screen import Line, Style

FONT = 14
ADVANCE = 8.43
"""Width of one column. Each run is stretched to it, so that columns stay columns in whatever monospaced font there is."""

LEADING = 19
MARGIN = 18
BAR = 34

BACKGROUND, FRAME, FOREGROUND, FAINT = "#161b22", "#30363d", "#d6dde6", "#8b949e"
BUTTONS = ("#f4655c", "#e9b949", "#4fb560")
COLOURS = (
    "#6e7681",
    "#ff7b72",
    "#56d364",
    "#e3b341",
    "#79c0ff",
    "#d2a8ff",
    "#56d4dd",
    "#d6dde6",
)
BRIGHT = (
    "#8b949e",
    "#ffa198",
    "#7ee787",
    "#f2cc60",
    "#a5d6ff",
    "#e2c5ff",
    "#87deea",
    "#ffffff",
)
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def picture(lines: Sequence[Line], columns: int, title: str) -> str:
    """Draw the lines in a window with a title; the title is also what a screen reader says."""
    width = round(columns * ADVANCE + 2 * MARGIN)
    height = BAR + len(lines) * LEADING + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="9" fill="{BACKGROUND}" stroke="{FRAME}"/>',
    ]
    drawn += [
        f'<circle cx="{MARGIN + 5 + 20 * index}" cy="{BAR / 2 + 1:g}" r="6" fill="{colour}"/>'
        for index, colour in enumerate(BUTTONS)
    ]
    drawn.append(
        f'<text x="{width / 2:g}" y="{BAR / 2 + 6:g}" fill="{FAINT}" font-family="{FONTS}" font-size="13" '
        f'text-anchor="middle">{escape(title)}</text>'
    )
    drawn.append(f'<g font-family="{FONTS}" font-size="{FONT}" fill="{FOREGROUND}" xml:space="preserve">')
    for number, line in enumerate(lines):
        drawn += _line(line, BAR + MARGIN + number * LEADING + FONT)
    return "\n".join([*drawn, "</g>", "</svg>", ""])


def _line(line: Line, baseline: float) -> list[str]:
    """The runs of one style, each at its column."""
    drawn = []
    column = 0
    for style, cells in groupby(line, key=lambda cell: cell[1]):
        run = [character for character, _ in cells]
        text = "".join(run)
        if text.strip():
            start = column + len(text) - len(text.lstrip())
            length = len(run) - (len(text) - len(text.strip()))
            drawn.append(
                f'<text x="{MARGIN + start * ADVANCE:.1f}" y="{baseline:g}" textLength="{length * ADVANCE:.1f}"'
                f' lengthAdjust="spacingAndGlyphs"{_look(style)}>{escape(text.strip(), quote=False)}</text>'
            )
        column += len(run)
    return drawn


def _look(style: Style) -> str:
    colour = None
    if style.colour is not None:
        colour = (COLOURS + BRIGHT)[style.colour]
    elif style.dim:
        colour = FAINT
    return (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if style.bold else "")
