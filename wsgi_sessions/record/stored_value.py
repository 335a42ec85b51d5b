"""The form in which a record holds one value: as it stands, or encoded.

``None``, ``bool``, ``int`` of 64 bits, ``float`` and short ``str`` stand as they are: the C library
has decoded them with the head of the record, and most of a session is of these. Everything else is
the ``bytes`` of the codec. Large ones of a record that was loaded stay where they lie in it: see
:mod:`wsgi_sessions.record.large_values`.

Rules for maintainers: ``1 == True == 1.0``, so stored values are compared by :func:`same` and never
by ``==``. ``None`` is a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ormsgpack import packb

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.codec import Codec, Converted, MsgpackCodec

__all__ = ["LARGE", "StoredValue", "ValueCodec", "same"]

LARGE = 512
"""Bytes from which an encoded value stands outside the head; also characters of a ``str``."""

StoredValue = bool | int | float | str | bytes | None

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
        data = self._dumps(value)
        if not data:
            raise UnsupportedValue("", "the codec makes no bytes of it")
        return data

    def stored(self, value: Any) -> StoredValue:
        """The same, of what *value* comes back as."""
        data = self.dumps(value)
        if type(data) is Converted:
            return self.dumps(self._loads(bytes(data)))
        return data

    def loads(self, stored: StoredValue) -> Any:
        """The value. Raises :exc:`ValueError` if it cannot be decoded here."""
        return self._loads(stored) if type(stored) is bytes else stored


def _is_never_sure(_value: Any, _data: Any) -> bool:
    return False


def same(one: Any, other: Any) -> bool:
    """Whether two stored values, or marks for a missing one, are the same, with their types."""
    if one is other:
        return True
    kind, other_kind = type(one), type(other)
    if kind is other_kind and (kind is str or kind is bytes or kind is int):
        equal: bool = one == other
        return equal
    if kind is float is other_kind:
        if one != other and one == one:  # not a number is not equal to itself
            return False
        return packb(one) == packb(other)  # -0.0 equals 0.0
    return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
