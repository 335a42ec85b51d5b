"""Reading msgpack whose maps have keys of any kind, which only few old sessions have.

``ormsgpack`` would make the keys while it reads, and many of one hash take it time quadratic in
their number. So this reads into a :mod:`~wsgi_sessions.migration.tree`, in Python.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from wsgi_sessions.migration.tree import MAX_BYTES, Node, NotPlain, build

__all__ = ["loads"]

MAX_VALUES = 100_000
"""Each takes two microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def loads(data: bytes) -> Any:
    """The value in *data*.

    :raises ValueError: it is no msgpack, holds an extension other than a time, is too deep or too
        large, or is followed by something.
    """
    if len(data) > MAX_BYTES:
        raise NotPlain("it is too large")
    reader = _Reader(data)
    try:
        root = reader.read()
        if not reader.at_end():
            raise NotPlain("something follows the value")
        return build(root)
    except (struct.error, LookupError, OverflowError, TypeError, RecursionError):
        raise NotPlain("it is no msgpack of plain values") from None


class _Reader:
    __slots__ = ("_at", "_data", "_left")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = MAX_VALUES

    def at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, length: int) -> bytes:
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise NotPlain("it is cut off")
        return self._data[start : self._at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def read(self) -> Any:
        self._left -= 1
        if self._left < 0:
            raise NotPlain("it is too large")
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first < 0xA0:
            return (self.map if first < 0x90 else self.array)(first & 0x0F)
        if first < 0xC0:
            return self.text(first & 0x1F)
        return _KINDS[first](self)

    def text(self, length: int) -> str:
        return self.take(length).decode()

    def array(self, length: int) -> Node:
        return Node(list, [self.read() for _ in range(length)])

    def map(self, length: int) -> Node:
        items: list[Any] = []
        for _ in range(length):
            key = self.read()
            if type(key) is Node and key.make is list:
                key = Node(tuple, key.items)
            items += (key, self.read())
        return Node(dict, items)

    def extension(self, length: int) -> Node:
        if self.number(">b") != -1:
            raise NotPlain("it has an extension that is no time")
        return Node(_time, [self.take(length)])


def _time(payload: bytes) -> datetime:
    """The extension type -1 of the specification: 32, 64 or 96 bits."""
    if len(payload) == 4:
        nanoseconds, seconds = 0, *struct.unpack(">I", payload)
    elif len(payload) == 8:
        packed = struct.unpack(">Q", payload)[0]
        nanoseconds, seconds = packed >> 34, packed & ((1 << 34) - 1)
    else:
        nanoseconds, seconds = struct.unpack(">Iq", payload)
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)


def _sized(layout: str, read: Callable[[_Reader, int], Any]) -> Callable[[_Reader], Any]:
    return lambda reader: read(reader, reader.number(layout))


def _number(layout: str) -> Callable[[_Reader], Any]:
    return lambda reader: reader.number(layout)


def _constant(value: bool | None) -> Callable[[_Reader], Any]:
    return lambda _reader: value


def _fixed_extension(length: int) -> Callable[[_Reader], Any]:
    return lambda reader: reader.extension(length)


_KINDS: dict[int, Callable[[_Reader], Any]] = {
    0xC0: _constant(None),
    0xC2: _constant(False),
    0xC3: _constant(True),
    **{0xC4 + n: _sized(layout, _Reader.take) for n, layout in enumerate((">B", ">H", ">I"))},
    **{0xC7 + n: _sized(layout, _Reader.extension) for n, layout in enumerate((">B", ">H", ">I"))},
    **{
        0xCA + n: _number(layout)
        for n, layout in enumerate((">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"))
    },
    **{0xD4 + n: _fixed_extension(1 << n) for n in range(5)},
    **{0xD9 + n: _sized(layout, _Reader.text) for n, layout in enumerate((">B", ">H", ">I"))},
    **{0xDC + n: _sized(layout, _Reader.array) for n, layout in enumerate((">H", ">I"))},
    **{0xDE + n: _sized(layout, _Reader.map) for n, layout in enumerate((">H", ">I"))},
}
