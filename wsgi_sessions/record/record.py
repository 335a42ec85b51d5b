"""What a store keeps for one session.

Layout of format 1, which ``docs/format.md`` describes byte by byte::

    1 byte   format, 1
    4 bytes  CRC-32 of the head, big-endian
    head     msgpack array of 11: secret hash, created at, saved at, ends at, flags, idle seconds,
             owner, device, superseded [[secret hash, replaced at], …], values {key: value},
             table of the large values [sizes, CRC-32s] or nil
    rest     the large values, one after the other

Values stand as :mod:`wsgi_sessions.record.stored_value` has them; in the place of a large one
stands an empty bin. So reading one name hashes and decodes the head, whatever else the session
holds. An encrypted record has head and rest only, since it is authenticated.

The checksums find damage, not malice: who can write to the store can write a checksum. Everything
is therefore checked again for type, length and range, and nothing here can execute anything.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from gc import is_tracked
from typing import Any
from zlib import crc32

from ormsgpack import packb, unpackb

from wsgi_sessions.errors import BadRecord
from wsgi_sessions.record.large_values import (
    ELSEWHERE,
    LargeValues,
    are_in_place,
    is_large,
    places_of,
)
from wsgi_sessions.record.stored_value import LARGE, StoredValue

__all__ = [
    "ENDED",
    "KEPT",
    "MAX_DEVICE",
    "OWN_LIFETIME",
    "PERMANENT",
    "Record",
    "is_newer",
    "pack",
    "pack_body",
    "unpack",
    "unpack_body",
]

FORMAT = 1
_FORMAT = bytes([FORMAT])
PERMANENT = 1
"""Flag: the session outlives the browser."""
OWN_LIFETIME = 2
"""Flag: its idle lifetime is its own, and no option changes it."""
KEPT = 4
"""Flag: the session exists although it is empty."""
MAX_DEVICE = 100
"""Characters."""

_FRONT = struct.Struct(">BI")
_LATEST = 1e11  # seconds; the year 5138: no clock of ours gets there
_FLAGS_END = 1 << 63
_VALUE_TYPES = {type(None), bool, int, float, str, bytes}


@dataclass(slots=True, repr=False)
class Record:
    """One session as it is stored, which nobody changes: a change makes another. Times are seconds
    since the epoch. (A named tuple takes six times as many instructions to be read.)"""

    secret_hash: bytes
    created_at: float
    """When it was made or logged in: the start of the absolute lifetime."""
    saved_at: float
    ends_at: float | None
    """When it ends however much it is used; ``None`` for never."""
    flags: int
    """:data:`PERMANENT`, :data:`OWN_LIFETIME`, :data:`KEPT`; unknown bits are kept."""
    idle: float
    """Seconds after the last save at which it ends if nobody uses it."""
    owner: str | None
    device: str | None
    superseded: Sequence[Sequence[Any]]
    """Pairs: the hash of a secret that was replaced a moment ago, and when."""
    values: dict[str, StoredValue]

    def __repr__(self) -> str:
        return f"<Record of {len(self.values)} values>"

    @property
    def permanent(self) -> bool:
        return bool(self.flags & PERMANENT)

    @property
    def expires_at(self) -> float:
        """When it ends if nothing more happens: the earlier of idle and absolute end."""
        end = self.saved_at + self.idle
        return end if self.ends_at is None or end < self.ends_at else self.ends_at

    @property
    def is_empty(self) -> bool:
        return not self.values and self.owner is None and not self.flags & KEPT

    def replace(self, **changes: Any) -> Record:
        """The same with other values of these fields. (In half of what ``dataclasses.replace``
        takes.)"""
        replaced = self.holding(self.values, self.saved_at)
        for field, value in changes.items():
            setattr(replaced, field, value)
        return replaced

    def holding(self, values: dict[str, StoredValue], now: float) -> Record:
        """The same with *values*, dated *now*. (In a fifth of what :meth:`replace` takes.)"""
        held: Record = _new(Record)
        held.secret_hash, held.created_at, held.saved_at = self.secret_hash, self.created_at, now
        held.ends_at, held.flags, held.idle = self.ends_at, self.flags, self.idle
        held.owner, held.device, held.superseded = self.owner, self.device, self.superseded
        held.values = values
        return held

    def packed(self, values: dict[str, Any], table: Sequence[bytes] | None = None) -> bytes:
        """The head, with these *values* and this *table*."""
        return packb(
            (
                *(self.secret_hash, self.created_at, self.saved_at, self.ends_at, self.flags),
                *(self.idle, self.owner, self.device, self.superseded, values, table),
            )
        )


_new = object.__new__


def pack(record: Record) -> bytes:
    """The bytes of *record*; the same for the same record in every process."""
    head = record.packed(record.values) if type(record.values) is dict else b""
    if 0 < len(head) < LARGE:  # most records: two calls less
        return _FRONT.pack(FORMAT, crc32(head)) + head
    head, large = _parts(record, head)
    return b"".join((_FRONT.pack(FORMAT, crc32(head)), head, *large))


def pack_body(record: Record) -> bytes:
    """The same without format and checksum, to be encrypted."""
    head, large = _parts(record, b"")
    return b"".join((head, *large))


def _parts(record: Record, head: bytes) -> tuple[bytes, list[bytes | memoryview]]:
    """The head, and what follows it. *head* is that without large values, or empty if it is not
    made yet."""
    values: dict[str, Any] = record.values
    if isinstance(values, LargeValues) and values.unchanged:
        return record.packed(values, values.large.table), [values.large.rest]
    if not head and not isinstance(values, LargeValues):
        head = record.packed(values)
    if 0 < len(head) < LARGE or are_in_place(values):  # nearly always
        return head or record.packed(values), []
    parts: list[bytes | memoryview] = []
    checksums = []
    for key, value in values.items():
        if is_large(value):
            if value == ELSEWHERE and isinstance(values, LargeValues):
                part, checksum = values.large.find(key)
            else:
                part, checksum = value, crc32(value)
            parts.append(part)
            checksums.append(checksum)
    placed = {key: ELSEWHERE if is_large(value) else value for key, value in values.items()}
    numbers = f">{len(parts)}I"
    table = struct.pack(numbers, *map(len, parts)), struct.pack(numbers, *checksums)
    return record.packed(placed, table), parts


def unpack(data: bytes) -> Record:
    """The record in *data*. Raises :exc:`BadRecord` for anything else."""
    if data[:1] != _FORMAT:
        raise BadRecord(_what_is_wrong(data))
    record, head = _unpack(data, 5)
    if data[:5] != _FRONT.pack(FORMAT, crc32(head)):
        raise BadRecord("damaged: the checksum does not match")
    return record


def unpack_body(data: bytes) -> Record:
    """The record that :func:`pack_body` made *data* of. Raises :exc:`BadRecord`."""
    return _unpack(data, 0)[0]


def _unpack(data: bytes, start: int) -> tuple[Record, bytes | memoryview]:
    """The record whose head begins at *start*, and that head."""
    # A slice is a copy, a view costs 1 k instructions more and saves one for each byte.
    body = data[start:] if len(data) < 4096 else memoryview(data)[start:]
    try:
        fields = unpackb(body)
        (
            secret_hash, created_at, saved_at, ends_at, flags, idle,
            owner, device, superseded, values, large,
        ) = fields  # fmt: skip
    except (ValueError, TypeError) as error:
        raise BadRecord("damaged, or not a record: it has another shape") from error
    if not (
        type(secret_hash) is bytes
        and type(created_at) is float
        and type(saved_at) is float
        and type(idle) is float
        and 0.0 <= created_at <= _LATEST  # NaN is in no range
        and 0.0 <= saved_at <= _LATEST
        and 0.0 <= idle <= _LATEST
        and (ends_at is None or (type(ends_at) is float and 0.0 <= ends_at <= _LATEST))
        and type(flags) is int
        and 0 <= flags < _FLAGS_END
        and (owner is None or type(owner) is str)
        and (device is None or (type(device) is str and len(device) <= MAX_DEVICE))
        and type(superseded) is list
        and (not superseded or all(map(_is_superseded, superseded)))
        and type(values) is dict
        and _are_scalars(values)
    ):
        raise BadRecord("not a record: a field has the wrong type or range")
    del fields[10]  # the table of the large values
    if large is None:
        return Record(*fields), body
    try:
        fields[9], size = places_of(data, values, large)
    except ValueError as error:
        raise BadRecord(f"not a record: {error}") from None
    if len(data) - size < start:
        raise BadRecord("damaged: a large value is cut off")
    return Record(*fields), body[: len(body) - size]


def _are_scalars(values: dict[str, Any]) -> bool:
    """Whether no array and no map stands in *values*. (CPython's garbage collector does not track
    a dict that has none, and knows it already; from 3.14 on it tracks all.)"""
    return not is_tracked(values) or _VALUE_TYPES.issuperset(map(type, values.values()))


def is_newer(data: bytes) -> bool:
    """Whether *data* is a record, encrypted or not, of a format that a later release may write."""
    return len(data) >= _FRONT.size and FORMAT < data[0] & 0x7F < FORMAT + 16


def _what_is_wrong(data: bytes) -> str:
    if is_newer(data):
        return "of a newer format, or not a record"
    if len(data) >= _FRONT.size and data[0] & 0x80:
        return "encrypted, or not a record"
    return "not a record"


def _is_superseded(entry: object) -> bool:
    if type(entry) is not list or len(entry) != 2:
        return False
    secret_hash, replaced_at = entry
    return type(secret_hash) is bytes and type(replaced_at) is float and 0 <= replaced_at <= _LATEST


ENDED = pack(Record(b"", 0.0, 0.0, 0.0, 0, 0.0, None, None, (), {}))
"""Takes the place of a session that became empty. No secret opens it, so a request that finds it
before it expires finds the session ended."""
