"""Output cut into lines, whoever writes it, however it is chunked, however long it gets."""

from __future__ import annotations

import codecs

from launcher.model.logs import MAX_LINE


class LineBuffer:
    r"""Turns pieces of text or bytes into complete lines; keeps at most `MAX_LINE` characters of an unfinished one.

    Bytes that are not UTF-8 become ``\xNN``. A carriage return before the end of a line is dropped.
    """

    __slots__ = ("_cut", "_decoder", "_kept", "_size")

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = None
        self._kept: list[str] = []
        self._size = 0
        self._cut = 0

    def feed_bytes(self, data: bytes, *, final: bool = False) -> list[str]:
        """Take bytes and return the lines they complete."""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        return self.feed(self._decoder.decode(data, final))

    def feed(self, text: str) -> list[str]:
        """Take text and return the lines it completes."""
        pieces = text.split("\n")
        lines = []
        for piece in pieces[:-1]:
            self._keep(piece)
            lines.append(self._take())
        self._keep(pieces[-1])
        return lines

    def flush(self) -> list[str]:
        """Return the unfinished line, if there is one, as if it had ended."""
        lines = self.feed_bytes(b"", final=True) if self._decoder is not None else []
        return [*lines, self._take()] if self else lines

    def __bool__(self) -> bool:
        return bool(self._size or self._cut)

    def _keep(self, piece: str) -> None:
        if not piece:
            return
        room = max(0, MAX_LINE - self._size)
        fits = piece[:room]
        if fits:
            self._kept.append(fits)
        self._size += len(fits)
        self._cut += len(piece) - len(fits)

    def _take(self) -> str:
        line = "".join(self._kept)
        cut, self._kept, self._size, self._cut = self._cut, [], 0, 0
        if cut:  # as `launcher.model.logs.clipped` does, without having held the whole line
            return f"{line}… [cut: {cut} characters more]"
        return line.removesuffix("\r")
