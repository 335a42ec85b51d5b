"""The values of a record some of which are large: these stay where they lie in it.

How this works. In the map of a record, an empty ``bytes`` stands for each value that lies behind
the head. Such a map becomes a :class:`LargeValues`: a dict that knows the record, so that nothing
is looked for, copied or checked until somebody asks for a large value. A dict that holds none is an
ordinary one, and :func:`stored_at` reads both.

Rules for maintainers: a large value is found by its key, so what becomes of a
:class:`LargeValues` must be one too: copy it by ``copy()`` or ``|``, never by ``dict()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from struct import unpack
from typing import Any
from zlib import crc32

from ormsgpack import packb

from wsgi_sessions.record.stored_value import LARGE, StoredValue

__all__ = [
    "ELSEWHERE",
    "LargeValues",
    "are_in_place",
    "content",
    "is_large",
    "places_of",
    "stored_at",
]

ELSEWHERE = b""
"""Stands for a large value."""

Place = tuple[memoryview, int]
"""The bytes of a large value and their CRC-32."""


def is_large(value: object) -> bool:
    """Whether *value* is encoded and stands behind the head."""
    return type(value) is bytes and not 0 < len(value) < LARGE


class _Large:
    """The large values of one record, at its end, in the order in which *values* names them."""

    __slots__ = ("_found", "_record", "_sizes", "_values", "table")

    def __init__(
        self,
        record: bytes,
        values: dict[str, StoredValue],
        sizes: Sequence[int],
        table: Sequence[bytes],
    ) -> None:
        self._record = record
        self._values = values
        self._sizes = sizes
        self._found: dict[str, Place] = {}
        self.table: Sequence[bytes] = table
        """Their sizes and checksums as they are written."""

    @property
    def rest(self) -> memoryview:
        """The bytes of all."""
        return memoryview(self._record)[len(self._record) - sum(self._sizes) :]

    def find(self, key: str) -> Place:
        """What stands under *key*, damaged or not."""
        if not self._found:
            keys = [key for key, value in self._values.items() if value == ELSEWHERE]
            rest, ends = self.rest, accumulate(self._sizes)
            views = [rest[end - size : end] for size, end in zip(self._sizes, ends, strict=True)]
            checksums = unpack(f">{len(keys)}I", self.table[1])
            self._found = dict(zip(keys, zip(views, checksums, strict=True), strict=True))
        return self._found[key]


class LargeValues(dict[str, StoredValue]):
    """A record's values; ``b""`` stands for those that are in :attr:`large`."""

    __slots__ = ("large", "unchanged")

    large: _Large
    unchanged: bool
    """Whether the large values are exactly those of :attr:`large`."""

    def __or__(self, other: Any) -> LargeValues:  # type: ignore[override]
        merged = LargeValues(self)
        merged.update(other)
        merged.large, merged.unchanged = self.large, self.unchanged
        for key, value in other.items():
            large = type(value) is bytes and len(value) >= LARGE
            if large or self.get(key) == ELSEWHERE:
                merged.unchanged = False
        return merged

    def copy(self) -> LargeValues:
        """Of which any value may be changed."""
        copied = LargeValues(self)
        copied.large, copied.unchanged = self.large, False
        return copied


def are_in_place(values: dict[str, StoredValue]) -> bool:
    """Whether no large value among *values* is to be moved behind the head when they are packed."""
    if isinstance(values, LargeValues) and values.unchanged:
        return True
    for value in values.values():
        if type(value) is bytes and not 0 < len(value) < LARGE:  # is_large(), without the call
            return False
    return True


def places_of(data: bytes, values: dict[str, StoredValue], table: Any) -> tuple[LargeValues, int]:
    """*values* with what lies at the end of *data*, by the *table* of sizes and checksums; and how
    many bytes that is. Raises ``ValueError`` if they do not belong together."""
    count = [*values.values()].count(ELSEWHERE)
    if not (
        type(table) is list
        and len(table) == 2
        and type(table[0]) is type(table[1]) is bytes
        and len(table[0]) == len(table[1]) == 4 * count > 0
    ):
        raise ValueError("the table of its large values has another shape")
    sizes = unpack(f">{count}I", table[0])
    placed = LargeValues(values)
    placed.large, placed.unchanged = _Large(data, values, sizes, table), True
    return placed, sum(sizes)


def stored_at(values: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """What a record's *values* have under *key*. Raises :exc:`ValueError` if it is a large one
    that is damaged."""
    stored = values.get(key, default)
    if stored == ELSEWHERE and type(stored) is bytes and isinstance(values, LargeValues):
        view, checksum = values.large.find(key)
        if crc32(view) != checksum:
            raise ValueError("a large value is damaged: its checksum does not match")
        return bytes(view)
    return stored


def content(values: Mapping[str, StoredValue], key: str) -> bytes:
    """Bytes that are equal for stored values of the same kind if the values are; damaged ones as
    they are."""
    stored = values[key]
    if type(stored) is not bytes:
        return packb(stored)
    if stored == ELSEWHERE and isinstance(values, LargeValues):
        return bytes(values.large.find(key)[0])
    return stored
