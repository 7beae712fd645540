"""PackStream, the binary encoding of Bolt messages, as far as a check needs it.

Source: Neo4j's "PackStream" specification, version 1. All numbers are big-endian. Covered are null, booleans,
integers, floats, bytes, strings, lists, maps and structures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | bytes | str | list[Value] | dict[str, Value] | Structure | None"

MAX_DEPTH = 32
"""Deepest nesting that is decoded; keeps a hostile peer from exhausting the stack."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A tagged tuple of values; every Bolt message is one.

    Attributes:
        tag: the kind of structure, 0 to 127.
        fields: at most 15 values.
    """

    tag: int
    fields: tuple[Value, ...] = ()


class PackStreamError(ValueError):
    """The bytes are no PackStream, or the value cannot be encoded."""


def pack(value: Value) -> bytes:
    """Encode one value.

    Raises:
        PackStreamError: an integer beyond 64 bits or a structure with more than 15 fields.
    """
    match value:
        case None | bool() | int() | float():
            return _pack_scalar(value)
        case bytes():
            return _size(len(value), None, (0xCC, 0xCD, 0xCE)) + value
        case str():
            raw = value.encode("utf-8")
            return _size(len(raw), 0x80, (0xD0, 0xD1, 0xD2)) + raw
        case list():
            return _size(len(value), 0x90, (0xD4, 0xD5, 0xD6)) + b"".join(map(pack, value))
        case dict():
            items = b"".join(pack(key) + pack(item) for key, item in value.items())
            return _size(len(value), 0xA0, (0xD8, 0xD9, 0xDA)) + items
        case Structure(tag, fields):
            if len(fields) > 15 or not 0 <= tag <= 127:
                raise PackStreamError("a structure has a tag up to 127 and at most 15 fields")
            return bytes((0xB0 + len(fields), tag)) + b"".join(map(pack, fields))


def unpack(data: bytes) -> Value:
    """Decode exactly one value.

    Raises:
        PackStreamError: the bytes are malformed, nested too deeply, too few or too many.
    """
    value, end = _unpack(data, 0, 0)
    if end != len(data):
        raise PackStreamError(f"{len(data) - end} bytes after the value")
    return value


def _pack_scalar(value: float | None) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    return _pack_integer(value) if isinstance(value, int) else b"\xc1" + struct.pack(">d", value)


def _pack_integer(value: int) -> bytes:
    if -16 <= value <= 127:
        return struct.pack(">b", value)
    for marker, width in ((0xC8, 1), (0xC9, 2), (0xCA, 4), (0xCB, 8)):
        if -(1 << (8 * width - 1)) <= value < 1 << (8 * width - 1):
            return bytes((marker,)) + value.to_bytes(width, "big", signed=True)
    raise PackStreamError("integers have at most 64 bits")


def _size(size: int, tiny: int | None, markers: tuple[int, int, int]) -> bytes:
    if tiny is not None and size < 16:
        return bytes((tiny + size,))
    for marker, width in zip(markers, (1, 2, 4), strict=True):
        if size < 1 << (8 * width):
            return bytes((marker,)) + size.to_bytes(width, "big")
    raise PackStreamError("the value is too large")


_SIZED = {
    **{0xCC + power: ("bytes", 1 << power) for power in range(3)},
    **{0xD0 + power: ("string", 1 << power) for power in range(3)},
    **{0xD4 + power: ("list", 1 << power) for power in range(3)},
    **{0xD8 + power: ("map", 1 << power) for power in range(3)},
}
_TINY = {0x80: "string", 0x90: "list", 0xA0: "map", 0xB0: "structure"}
_CONSTANTS: dict[int, Value] = {0xC0: None, 0xC2: False, 0xC3: True}


def _unpack(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that begins at a position, and the position after it."""
    if depth > MAX_DEPTH:
        raise PackStreamError("nested too deeply")
    marker = _take(data, at, 1)[0]
    at += 1
    if marker < 0x80 or marker >= 0xF0:
        return (marker if marker < 0x80 else marker - 0x100), at
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], at
    if marker == 0xC1:
        return float(struct.unpack(">d", _take(data, at, 8))[0]), at + 8
    if 0xC8 <= marker <= 0xCB:
        width = 1 << (marker - 0xC8)
        return int.from_bytes(_take(data, at, width), "big", signed=True), at + width
    if kind := _TINY.get(marker & 0xF0):
        return _unpack_sized(kind, marker & 0x0F, data, at, depth)
    if sized := _SIZED.get(marker):
        size = int.from_bytes(_take(data, at, sized[1]), "big")
        return _unpack_sized(sized[0], size, data, at + sized[1], depth)
    raise PackStreamError(f"unknown marker {marker:#04x}")


def _unpack_sized(kind: str, size: int, data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if kind in {"bytes", "string"}:
        raw = _take(data, at, size)
        return (raw if kind == "bytes" else _text(raw)), at + size
    if kind == "structure":
        tag = _take(data, at, 1)[0]
        values, at = _unpack_many(size, data, at + 1, depth)
        return Structure(tag, tuple(values)), at
    if kind == "list":
        return _unpack_many(size, data, at, depth)
    pairs, at = _unpack_many(2 * size, data, at, depth)
    keys, values = pairs[::2], pairs[1::2]
    if not all(isinstance(key, str) for key in keys):
        raise PackStreamError("a key of a map is not a string")
    return {str(key): value for key, value in zip(keys, values, strict=True)}, at


def _unpack_many(count: int, data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    if count > len(data) - at:  # every value takes a byte at least: no need to try
        raise PackStreamError("the data ends too early")
    values: list[Value] = []
    for _ in range(count):
        value, at = _unpack(data, at, depth + 1)
        values.append(value)
    return values, at


def _take(data: bytes, at: int, count: int) -> bytes:
    if count > len(data) - at:
        raise PackStreamError("the data ends too early")
    return data[at : at + count]


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise PackStreamError("a string is not UTF-8") from None
