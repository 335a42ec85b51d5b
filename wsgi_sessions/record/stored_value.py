"""The form in which a record holds one value: as it stands, encoded, or a place in a buffer.

``None``, ``bool``, ``int`` of 64 bits, ``float`` and short ``str`` stand as they are: the C library
has decoded them with the head of the record, and most of a session is of these. Everything else is
the ``bytes`` of the codec. A large value of a record that was loaded is where it lies in it, and is
neither copied nor checked until somebody needs it.

Rules for maintainers: ``1 == True == 1.0``, so stored values are compared by :func:`same` and never
by ``==``. ``None`` is a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from ormsgpack import packb

from wsgi_sessions.record.codec import Codec, Converted, MsgpackCodec

__all__ = ["LARGE", "Large", "StoredValue", "ValueCodec", "content", "same", "stored_bytes"]

LARGE = 512
"""Bytes from which an encoded value stands outside the head; also characters of a ``str``."""

Large = tuple[bytes, int, int, int]
"""The record it lies in, where it begins, its size in bytes, its CRC-32."""

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
        """The value. Raises :exc:`ValueError` if it is damaged, or cannot be decoded here."""
        kind = type(stored)
        if kind is bytes:
            return self._loads(stored)  # type: ignore[arg-type]
        if kind is tuple:
            return self._loads(stored_bytes(stored))  # type: ignore[arg-type]
        return stored


def _is_never_sure(_value: Any, _data: Any) -> bool:
    return False


def stored_bytes(large: Large) -> bytes:
    """The encoded value that *large* stands for. Raises :exc:`ValueError` if it is damaged."""
    buffer, start, size, checksum = large
    data = buffer[start : start + size]
    if crc32(data) != checksum:
        raise ValueError("a large value is damaged: its checksum does not match")
    return data


def content(stored: StoredValue) -> bytes:
    """Bytes that are equal for stored values of the same kind if the values are."""
    if type(stored) is tuple:
        buffer, start, size, _ = stored
        return buffer[start : start + size]
    return stored if type(stored) is bytes else packb(stored)


def same(one: Any, other: Any) -> bool:
    """Whether two stored values, or marks for a missing one, are the same, with their types."""
    if one is other:
        return True
    kind, other_kind = type(one), type(other)
    if kind is other_kind and (kind is str or kind is bytes or kind is int):
        return bool(one == other)
    if kind is float is other_kind:
        return packb(one) == packb(other)
    encoded = (bytes, tuple)
    if kind in encoded and other_kind in encoded:
        return _size(one) == _size(other) and content(one) == content(other)
    return False


def _size(encoded: bytes | Large) -> int:
    return len(encoded) if isinstance(encoded, bytes) else encoded[2]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
