"""The form in which a record holds one value: as it stands, encoded, or left where it lies.

``None``, ``bool``, ``int`` of 64 bits, ``float`` and short ``str`` stand as they are: the C library
has decoded them with the head of the record, and most of a session is of these. Everything else is
the ``bytes`` of the codec. For each large value of a record that was loaded stands one object, the
:class:`Large` of the record: none is looked for, copied or checked until somebody needs it.

Rules for maintainers: ``1 == True == 1.0``, so stored values are compared by :func:`same` and never
by ``==``. ``None`` is a value. A :class:`Large` says nothing without the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any
from zlib import crc32

from ormsgpack import packb

from wsgi_sessions.record.codec import Codec, Converted, MsgpackCodec

__all__ = ["LARGE", "Large", "StoredValue", "ValueCodec", "content", "same", "stored_at"]

LARGE = 512
"""Bytes from which an encoded value stands outside the head; also characters of a ``str``."""


class Large:
    """The large values of one record, under *keys*, in whose order they end the record."""

    __slots__ = ("_found", "_record", "checksums", "keys", "sizes")

    def __init__(
        self, record: bytes, keys: list[str], sizes: Sequence[int], checksums: Sequence[int]
    ) -> None:
        self._record = record
        self._found: dict[str, tuple[int, int, int]] = {}
        self.keys = keys
        self.sizes = sizes
        self.checksums = checksums

    @property
    def rest(self) -> memoryview:
        """The bytes of all."""
        return memoryview(self._record)[len(self._record) - sum(self.sizes) :]

    def find(self, key: str) -> tuple[memoryview, int]:
        """The bytes under *key*, damaged or not, and their CRC-32."""
        if not self._found:
            starts = accumulate(self.sizes, initial=len(self._record) - sum(self.sizes))
            found = zip(starts, self.sizes, self.checksums, strict=False)
            self._found = dict(zip(self.keys, found, strict=True))
        start, size, checksum = self._found[key]
        return memoryview(self._record)[start : start + size], checksum

    def encoded(self, key: str) -> bytes:
        """The bytes under *key*. Raises :exc:`ValueError` if they are damaged."""
        view, checksum = self.find(key)
        if crc32(view) != checksum:
            raise ValueError("a large value is damaged: its checksum does not match")
        return bytes(view)


StoredValue = bool | int | float | str | bytes | Large | None

_INT_MIN, _INT_END = -(1 << 63), 1 << 63


class ValueCodec:
    """A :class:`Codec` whose bytes are stored values: scalars are left as they are."""

    __slots__ = ("_dumps", "_loads", "immutable", "is_surely")

    def __init__(self, codec: Codec) -> None:
        self._dumps = codec.dumps
        self._loads = codec.loads
        # A subclass may encode otherwise.
        sure = codec.is_surely if type(codec) is MsgpackCodec else _is_never_sure
        self.is_surely: Callable[[Any, Any], bool] = sure
        """Whether a value's bytes are these, told at once; ``False`` says nothing."""
        self.immutable: tuple[type, ...] = getattr(codec, "immutable", ())

    def dumps(self, value: Any) -> StoredValue:
        """The stored form of *value*. Raises :exc:`~wsgi_sessions.UnsupportedValue`."""
        # By identity: a metaclass can make a type equal to another. Subclasses are the codec's.
        kind = type(value)
        if kind is str:
            if len(value) < LARGE and (value.isascii() or _is_unicode(value)):
                return value  # type: ignore[no-any-return]
        elif kind is int:
            if _INT_MIN <= value < _INT_END:
                return value  # type: ignore[no-any-return]
        elif value is None or kind is bool or kind is float:
            return value  # type: ignore[no-any-return]
        return self._dumps(value)

    def stored(self, value: Any) -> StoredValue:
        """The same, of what *value* comes back as."""
        data = self.dumps(value)
        if type(data) is Converted:
            return self.dumps(self._loads(bytes(data)))
        return data

    def loads(self, stored: StoredValue) -> Any:
        """The value; of a large one, its bytes are given. Raises :exc:`ValueError` if it cannot be
        decoded here."""
        return self._loads(stored) if type(stored) is bytes else stored


def _is_never_sure(_value: Any, _data: Any) -> bool:
    return False


def stored_at(values: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """What a record's *values* have under *key*, the bytes of a large one. Raises
    :exc:`ValueError` if those are damaged."""
    stored = values.get(key, default)
    return stored.encoded(key) if type(stored) is Large else stored


def content(values: Mapping[str, StoredValue], key: str) -> bytes:
    """Bytes that are equal for stored values of the same kind if the values are; damaged ones as
    they are."""
    stored = values[key]
    if isinstance(stored, Large):
        return bytes(stored.find(key)[0])
    return stored if type(stored) is bytes else packb(stored)


def same(one: Any, other: Any) -> bool:
    """Whether two stored values of one key, or marks for a missing one, are the same, with their
    types."""
    if one is other:
        return True
    kind, other_kind = type(one), type(other)
    if kind is other_kind and (kind is str or kind is bytes or kind is int):
        return bool(one == other)
    if kind is float is other_kind:
        return packb(one) == packb(other)
    return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
