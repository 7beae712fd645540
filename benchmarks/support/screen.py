"""What a terminal shows after a program has written to it: as much of a terminal as the launcher's console uses.

Understood are carriage return, line feed, erasing to the end of the line, colours and weight (ECMA-48, `EL` and `SGR`); other control
sequences are left out.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

_PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.|[\r\n]|[^\x1b\r\n]")


@dataclass(frozen=True, slots=True)
class Style:
    """How a character looks; `colour` is the number of one of the sixteen colours, None for the usual one."""

    colour: int | None = None
    bold: bool = False
    dim: bool = False

    def after(self, codes: str) -> Style:
        """The style after a sequence `ESC [ codes m`."""
        style = self
        for code in (int(code or 0) for code in codes.split(";")):
            match code:
                case 0:
                    style = Style()
                case 1:
                    style = replace(style, bold=True)
                case 2:
                    style = replace(style, dim=True)
                case 22:
                    style = replace(style, bold=False, dim=False)
                case 39:
                    style = replace(style, colour=None)
                case _ if 30 <= code <= 37:
                    style = replace(style, colour=code - 30)
                case _ if 90 <= code <= 97:
                    style = replace(style, colour=code - 90 + 8)
                case _:
                    pass
        return style


Line = list[tuple[str, Style]]
"""One character and its style per column; a wide character is followed by an empty one."""


def screen(written: str, columns: int) -> list[Line]:
    """The lines that stand on an endless screen of this width."""
    lines: list[Line] = [[]]
    style = Style()
    column = 0
    for piece in _PIECE.finditer(written):
        text = piece.group()
        if text == "\r":
            column = 0
        elif text == "\n":  # the terminal's driver has put a carriage return before it
            lines.append([])
        elif piece[2] == "m":
            style = style.after(piece[1])
        elif piece[2] == "K":
            del lines[-1][column:]
        elif len(text) == 1 and text.isprintable():
            if column + _width(text) > columns:
                lines.append([])
                column = 0
            column = _put(lines[-1], column, text, style)
    return lines


def _put(line: Line, column: int, character: str, style: Style) -> int:
    """Write one character and return the next column."""
    cells = [(character, style), *[("", style)] * (_width(character) - 1)]
    line.extend([(" ", Style())] * (column - len(line)))
    line[column : column + len(cells)] = cells
    return column + len(cells)


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
