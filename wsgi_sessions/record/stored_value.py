"""The form in which a record holds one value: as it stands, or encoded.

``None``, ``bool``, ``int`` of 64 bits, ``float`` and short ``str`` stand as they are: the C library
has decoded them with the head of the record, and most of a session is of these. Everything else is
the ``bytes`` of the codec. Large ones of a record that was loaded stay where they lie in it: see
:mod:`wsgi_sessions.record.large_values`.

Rules for maintainers: ``1 == True == 1.0``, so stored values are compared by :func:`same` and never
by ``==``. ``None`` is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ormsgpack import packb

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.codec import Codec, Converted, MsgpackCodec, perhaps_changed

__all__ = ["LARGE", "StoredValue", "ValueCodec", "same"]

LARGE = 512
"""Bytes from which an encoded value stands outside the head; also characters of a ``str``."""

StoredValue = bool | int | float | str | bytes | None

_INT_MIN, _INT_END = -(1 << 63), 1 << 63


class ValueCodec:
    """A :class:`Codec` whose bytes are stored values: scalars are left as they are."""

    __slots__ = ("_dumps", "_loads", "encode", "immutable", "perhaps_changed")

    def __init__(self, codec: Codec) -> None:
        self._dumps = codec.dumps
        self._loads = codec.loads
        is_ours = type(codec) is MsgpackCodec  # a subclass may encode otherwise
        self.encode: Callable[[Any], bytes] = codec.dumps if is_ours else self._checked
        """As :meth:`dumps`, of a list or dict."""
        perhaps = perhaps_changed if is_ours else _all_keys
        self.perhaps_changed: Callable[[dict[str, Any], Mapping[str, Any]], list[str]] = perhaps
        """Of values by key and what was dumped of them: the keys of those to be dumped again to
        know whether they have changed."""
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
        return self.encode(value)

    def _checked(self, value: Any) -> bytes:
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


def _all_keys(_values: object, dumped: Mapping[str, Any]) -> list[str]:
    return list(dumped)


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
