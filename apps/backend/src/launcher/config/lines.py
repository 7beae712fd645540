"""Find the line of each key of a TOML text.

``tomllib`` says what a document holds, not where. This scanner knows just enough of TOML to pass over strings, comments, lists and
inline tables; where it is at a loss, a key has no line of its own and that of its table is shown instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

KeyPath = tuple[str, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_KEY = re.compile(r'[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\')[ \t]*')
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_REST = re.compile(r"[^\n]*\n?")


class Place(NamedTuple):
    """Where a key is, and the text of its value (empty for a table header)."""

    line: int
    value: str = ""


class _Lost(Exception):
    """The text is not what the scanner understands."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.places: dict[KeyPath, Place] = {}
        self._counted = 0
        self._line = 1

    def scan(self) -> None:
        table: KeyPath = ()
        while self._skip(_SPACE) < len(self.text):
            start = self.position
            try:
                if self.text[start] == "[":
                    table = self._header()
                else:
                    self._pair(table)
            except _Lost:
                self.position = start
            if self._skip(_REST) == start:
                return

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return self.position

    def _line_of(self, position: int) -> int:
        self._line += self.text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _note(self, path: KeyPath, line: int, value: str = "") -> None:
        for length in range(1, len(path)):
            self.places.setdefault(path[:length], Place(line))
        known = self.places.get(path)
        if known is None or not known.value:
            self.places[path] = Place(line, value)

    def _header(self) -> KeyPath:
        line = self._line_of(self.position)
        self.position += 2 if self.text.startswith("[[", self.position) else 1
        path = self._dotted()
        if not self.text.startswith("]", self.position):
            raise _Lost
        self._note(path, line)
        return path

    def _dotted(self) -> KeyPath:
        parts: list[str] = []
        while found := _KEY.match(self.text, self.position):
            parts.append(next(group for group in found.groups() if group is not None))
            self.position = found.end()
            if not self.text.startswith(".", self.position):
                return tuple(parts)
            self.position += 1
        raise _Lost

    def _pair(self, table: KeyPath) -> None:
        line = self._line_of(self.position)
        path = table + self._dotted()
        if not self.text.startswith("=", self.position):
            raise _Lost
        self.position += 1
        self._skip(_BLANK)
        start = self.position
        self._note(path, line)
        self._value(path)
        self._note(path, line, self.text[start : self.position].rstrip())

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.position : self.position + 1]
        if opening in {'"', "'"}:
            if self._skip(_STRING) == 0 or self.text[self.position - 1] not in {'"', "'"}:
                raise _Lost
        elif opening == "[":
            self._items(path, "]")
        elif opening == "{":
            self._items(path, "}")
        else:
            self._skip(_SCALAR)

    def _items(self, path: KeyPath, closing: str) -> None:
        self.position += 1
        while self._skip(_SPACE) < len(self.text):
            at = self.position
            if self.text[at] == closing:
                self.position += 1
                return
            if self.text[at] == ",":
                self.position += 1
            elif closing == "}":
                self._pair(path)
            else:
                self._value(path)
            if self.position == at:
                raise _Lost
        raise _Lost


def places(text: str) -> Mapping[KeyPath, Place]:
    """Return the place of every key and table that can be found, including those inside inline tables."""
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.places


def line_of(known: Mapping[KeyPath, Place], path: KeyPath) -> int:
    """Return the line of ``path`` or of the nearest table around it; 0 when nothing of it was found."""
    for length in range(len(path), 0, -1):
        if found := known.get(path[:length]):
            return found.line
    return 0


def plain_string(value: str) -> str | None:
    """Return the text that a TOML string stands for, or ``None`` when ``value`` is something else."""
    quote = value[:1]
    if quote not in {"'", '"'} or len(value) < 2 or not value.endswith(quote):
        return None
    if not value.startswith(quote * 3) and (quote == "'" or "\\" not in value):
        return value[1:-1]
    import tomllib

    try:
        return str(tomllib.loads(f"value = {value}")["value"])
    except tomllib.TOMLDecodeError:
        return None
