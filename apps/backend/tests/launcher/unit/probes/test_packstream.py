"""PackStream: what is packed can be unpacked, and nothing else can."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.probes.checks.packstream import PackStreamError, Structure, Value, pack, unpack

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=300)
    | text
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(text, inner, max_size=20)
        | st.builds(Structure, st.integers(0, 127), st.lists(inner, max_size=15).map(tuple))
    ),
    max_leaves=20,
)


@given(values)
@example([None] * 16)
@example([None] * 256)
@example("x" * 70000)
@example(b"x" * 70000)
def test_round_trip(value: Value) -> None:
    """Every value comes back as it was, in value and in type."""
    again = unpack(pack(value))
    assert again == value
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, "c0"),
        (True, "c3"),
        (1, "01"),
        (127, "7f"),
        (128, "c90080"),
        (-16, "f0"),
        (-17, "c8ef"),
        (1234, "c904d2"),
        (-9223372036854775808, "cb8000000000000000"),
        (1.23, "c13ff3ae147ae147ae"),
        (b"\x01\x02\x03", "cc03010203"),
        ("A", "8141"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "d01a4142434445464748494a4b4c4d4e4f505152535455565758595a"),
        ([1, 2, 3], "93010203"),
        ({"one": "eins"}, "a1836f6e658465696e73"),
        (Structure(0x4E, (1, [], {})), "b34e0190a0"),
    ],
)
def test_examples_of_the_specification(value: Value, encoded: str) -> None:
    """The encoding is the one of the specification, not merely one that fits itself."""
    assert pack(value).hex() == encoded
    assert unpack(bytes.fromhex(encoded)) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_the_error(data: bytes) -> None:
    """Arbitrary bytes never raise anything but PackStreamError."""
    try:
        unpack(data)
    except PackStreamError:
        return


@given(values.map(pack), st.data())
def test_truncated_values_are_refused(encoded: bytes, data: st.DataObject) -> None:
    """A value that was cut off is never taken for a whole one."""
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(PackStreamError):
        unpack(encoded[:cut])


@pytest.mark.parametrize(
    "encoded",
    ["", "c4", "d6ffffffff", "daffffffff", "91" * 100 + "00", "a10101", "81ff", "0101", "d2ffffffff41"],
    ids=["empty", "marker", "huge list", "huge map", "deep", "key", "utf-8", "rest", "huge string"],
)
def test_malformed_values_are_refused(encoded: str) -> None:
    """Malformed, oversized and overly deep values are refused without much ado."""
    with pytest.raises(PackStreamError):
        unpack(bytes.fromhex(encoded))


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, Structure(1, (0,) * 16), Structure(128)])
def test_what_cannot_be_packed_is_refused(value: Value) -> None:
    """The limits of the format are kept when writing too."""
    with pytest.raises(PackStreamError):
        pack(value)
