"""One figure as a picture: a bar for each mode, a line from the lowest to the highest run, a dot for each run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.compare.figures import Figure, Spread

WIDTH = 360
"""Width in units of the picture; it is scaled to the place it stands in."""

ROW = 30
BAR = 14
LEFT = 64
RIGHT = 62


def bars(
    figure: Figure,
    by_mode: Mapping[str, Spread],
    runs: Mapping[str, Sequence[float]],
    colours: Mapping[str, int],
) -> str:
    """Draw a figure.

    Args:
        figure: what was measured.
        by_mode: its values, summed up.
        runs: its value in each run, by mode.
        colours: number of the colour of each mode; the page has the colours.
    """
    longest = max((spread.high for spread in by_mode.values()), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = ROW * len(by_mode)
    title = "; ".join(
        f"{mode} {figure.shown(spread.median)} {figure.unit}".rstrip() for mode, spread in by_mode.items()
    )
    drawn = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(f'{figure.label}: {title}')}</title>",
        f'<line class="axis" x1="{LEFT}" y1="0" x2="{LEFT}" y2="{height}"/>',
    ]
    for number, (mode, spread) in enumerate(by_mode.items()):
        drawn += _row(
            number * ROW + ROW / 2,
            mode,
            figure.shown(spread.median),
            spread,
            runs[mode],
            scale,
            colours[mode],
        )
    return "\n".join([*drawn, "</svg>"])


def _row(
    middle: float, mode: str, shown: str, spread: Spread, runs: Sequence[float], scale: float, colour: int
) -> list[str]:
    low, high, end = (LEFT + value * scale for value in (spread.low, spread.high, spread.median))
    return [
        f'<text class="mode" x="{LEFT - 8}" y="{middle + 4:g}" text-anchor="end">{escape(mode)}</text>',
        f'<rect class="bar c{colour}" x="{LEFT}" y="{middle - BAR / 2:g}" width="{max(1.0, end - LEFT):.1f}" height="{BAR}" rx="2"/>',
        f'<line class="range" x1="{low:.1f}" y1="{middle:g}" x2="{high:.1f}" y2="{middle:g}"/>',
        *(f'<circle class="run" cx="{LEFT + value * scale:.1f}" cy="{middle:g}" r="2.5"/>' for value in runs),
        f'<text class="value" x="{max(high, end) + 8:.1f}" y="{middle + 4:g}">{escape(shown)}</text>',
    ]
