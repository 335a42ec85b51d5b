"""What a store keeps for one session.

Layout::

    1 byte   format, now 1
    4 bytes  CRC-32 of all that follows, big-endian
    rest     msgpack array: secret hash, created at, saved at, permanent, owner,
             superseded [[secret hash, replaced at], …], {key: encoded value}

The values stay encoded, so reading one key decodes one value. The checksum finds damage, not
malice: who can write to the store can write a checksum. Everything is therefore checked again
for type and range, and nothing here can execute anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

from ormsgpack import packb, unpackb

from wsgi_sessions.errors import BadRecord

__all__ = ["ENDED", "Record", "is_newer", "pack", "record_of", "unpack"]

FORMAT = 1
_FRONT = Struct(">BI")
_LATEST = 1e11  # seconds; the year 5138: no clock of ours gets there


class Record(NamedTuple):
    """One session as it is stored."""

    secret_hash: bytes
    created_at: float
    """When it was made or logged in: the start of the absolute lifetime."""
    saved_at: float
    permanent: bool
    owner: str | None
    superseded: Sequence[Sequence[Any]]
    """Pairs: the hash of a secret that was replaced a moment ago, and when."""
    values: dict[str, bytes]
    """Encoded values. Never changed in place: the record before a change stays as it was. What
    is no ``bytes`` here was planted; it is found when it is decoded."""

    def __repr__(self) -> str:
        return f"<Record of {len(self.values)} values>"

    def saved(self, now: float) -> Record:
        """The same, dated *now*. (In a third of what ``_replace`` takes.)"""
        secret_hash, created_at, _, permanent, owner, superseded, values = self
        fields = secret_hash, created_at, now, permanent, owner, superseded, values
        return record_of(fields)

    @property
    def is_empty(self) -> bool:
        return not self.values and self.owner is None


record_of: Callable[[Iterable[Any]], Record] = partial(tuple.__new__, Record)
"""``Record(*fields)`` in half as many instructions."""


def pack(record: Record) -> bytes:
    """The bytes of *record*; the same for the same record in every process."""
    body = packb(record[:])  # a plain tuple
    return _FRONT.pack(FORMAT, crc32(body)) + body


def unpack(data: bytes) -> Record:
    """The record in *data*. Raises :exc:`BadRecord` for anything else."""
    # A slice is a copy, a view costs 1 k instructions more and saves one for each byte.
    body = data[5:] if len(data) < 4096 else memoryview(data)[5:]
    if data[:5] != _FRONT.pack(FORMAT, crc32(body)):
        raise BadRecord(_what_is_wrong(data))
    try:
        fields = unpackb(body)
        secret_hash, created_at, saved_at, permanent, owner, superseded, values = fields
    except (ValueError, TypeError) as error:
        raise BadRecord("not a record: it has another shape") from error
    if not (
        type(secret_hash) is bytes
        and type(created_at) is float
        and type(saved_at) is float
        and 0 <= created_at <= _LATEST  # NaN is in no range
        and 0 <= saved_at <= _LATEST
        and type(permanent) is bool
        and (owner is None or type(owner) is str)
        and type(superseded) is list
        and (not superseded or all(map(_is_superseded, superseded)))
        and type(values) is dict
    ):
        raise BadRecord("not a record: a field has the wrong type or range")
    return record_of(fields)


def _what_is_wrong(data: bytes) -> str:
    if len(data) < 5 or data[0] < FORMAT:
        return "not a record"
    if data[0] > FORMAT:
        return "not a record, or of a newer version"
    return "damaged: the checksum does not match"


def is_newer(data: bytes) -> bool:
    """Whether *data* is a record of a format that a later release may write."""
    return len(data) >= 5 and FORMAT < data[0] < FORMAT + 16


def _is_superseded(entry: object) -> bool:
    if type(entry) is not list or len(entry) != 2:
        return False
    secret_hash, replaced_at = entry
    return type(secret_hash) is bytes and type(replaced_at) is float and 0 <= replaced_at <= _LATEST


ENDED = pack(Record(b"", 0.0, 0.0, False, None, (), {}))
"""Takes the place of a session that became empty. No secret opens it, so a request that finds it
before it expires finds the session ended."""
