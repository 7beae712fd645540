"""Cutting output into lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.components.lines import LineBuffer
from launcher.model.logs import MAX_LINE, clipped


@given(
    st.lists(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=20)),
    st.data(),
)
def test_chunks_do_not_matter(lines: list[str], data: st.DataObject) -> None:
    """However bytes are cut into pieces, the same lines come out."""
    lines = [line.replace("\n", "") for line in lines]
    stream = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    buffer = LineBuffer()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += buffer.feed_bytes(stream[start:end])
    assert found + buffer.flush() == lines


@given(st.integers(0, 3 * MAX_LINE), st.integers(1, MAX_LINE))
def test_long_lines_are_clipped_as_log_lines_are(size: int, chunk: int) -> None:
    """A long line is cut exactly as `clipped` cuts a whole one, but is never held whole."""
    buffer = LineBuffer()
    text = "x" * size
    for start in range(0, size, chunk):
        assert buffer.feed(text[start : start + chunk]) == []
    assert buffer.feed("\n") == [clipped(text)]


def test_what_is_not_utf8_is_shown() -> None:
    """Foreign bytes become escapes, also when a character is cut off by the end."""
    buffer = LineBuffer()
    assert buffer.feed_bytes(b"a\xffb\nend \xc3") == [r"a\xffb"]
    assert buffer.flush() == [r"end \xc3"]
    assert buffer.flush() == []


def test_a_carriage_return_ends_with_its_line() -> None:
    """Windows line ends are taken off; carriage returns elsewhere stay."""
    assert LineBuffer().feed("a\r\nb\rc\n") == ["a", "b\rc"]
