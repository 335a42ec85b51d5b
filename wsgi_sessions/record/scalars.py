"""The scalar types that MessagePack lacks, each as an extension type of ours.

=== ========= ====================================================================================
ext type      payload; integers are big-endian
=== ========= ====================================================================================
1   int       two's complement, as short as can be; only for what does not fit 64 bits
2   Decimal   its text in capitals, ASCII
3   datetime  year u16; month, day, hour, minute, second u8; microsecond u32; fold u8; *zone*
4   date      year u16; month, day u8
5   time      hour, minute, second u8; microsecond u32; fold u8; *zone*
6   timedelta days i32; seconds, microseconds u32
7   UUID      its 16 bytes
8   Markup    UTF-8
=== ========= ====================================================================================

*zone* begins with a letter, or is empty for a naive time:

``U``  ``timezone.utc``
``O``  ``timezone``: its offset in microseconds, i64
``N``  the same with a name of its own: offset, then the name in UTF-8
``Z``  ``ZoneInfo``: its key in UTF-8

This is a wire format: add to it, never change it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from wsgi_sessions.errors import UnsupportedValue

__all__ = ["SCALARS", "Real", "Scalar", "decode", "utf8"]


class Real:
    """The classes of :mod:`datetime` themselves. freezegun, which stops the clock of a test, puts
    subclasses in their place in every module, but not within a class."""

    date: type[date] = next(kind for kind in date.__mro__ if kind.__module__ == "datetime")
    datetime: type[datetime] = next(k for k in datetime.__mro__ if k.__module__ == "datetime")


_DATETIME = struct.Struct(">H5BIB")
_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">3BIB")
_TIMEDELTA = struct.Struct(">iII")
_OFFSET = struct.Struct(">q")
_MICROSECOND = timedelta(microseconds=1)


class Scalar(NamedTuple):
    """One extension type, and how a value becomes its payload and is made of it again."""

    number: int
    type: type
    encode: Callable[[Any], bytes]
    """Raises :exc:`~wsgi_sessions.UnsupportedValue` with an empty path."""
    decode: Callable[[bytes], Any]
    """Raises anything in ``_DAMAGED``."""


def decode(number: int, payload: bytes) -> Any:
    """The value of extension type *number*.

    :raises ValueError: the payload is damaged, or the number or a time zone is not known here.
    """
    scalar = _BY_NUMBER.get(number)
    if scalar is None:
        raise ValueError(
            f"extension type {number} is unknown here: "
            f"it may come from a newer version of wsgi_sessions"
        )
    try:
        return scalar.decode(payload)
    except _DAMAGED:
        # Without its cause, whose message may show the value.
        raise ValueError(f"the payload of a {scalar.type.__name__} is damaged") from None


def utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UnsupportedValue("", "text with a lone surrogate is not valid Unicode") from None


def _encode_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _decode_int(payload: bytes) -> int:
    return int.from_bytes(payload, "big", signed=True)


def _encode_decimal(value: Decimal) -> bytes:
    # The text depends on getcontext().capitals, the bytes must not. Decimal() reads capitals.
    return str(value).upper().encode("ascii")


def _decode_decimal(payload: bytes) -> Decimal:
    return Decimal(payload.decode("ascii"))


def _encode_datetime(value: datetime) -> bytes:
    day = (value.year, value.month, value.day)
    clock = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    return _DATETIME.pack(*day, *clock) + _encode_zone(value.tzinfo, value)


def _decode_datetime(payload: bytes) -> datetime:
    *parts, fold = _DATETIME.unpack_from(payload)
    zone = _decode_zone(payload[_DATETIME.size :])
    return Real.datetime(*parts, tzinfo=zone, fold=fold)  # type: ignore[misc]  # (may be short)


def _encode_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _decode_date(payload: bytes) -> date:
    return Real.date(*_DATE.unpack(payload))


def _encode_time(value: time) -> bytes:
    clock = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    return _TIME.pack(*clock) + _encode_zone(value.tzinfo, None)


def _decode_time(payload: bytes) -> time:
    *parts, fold = _TIME.unpack_from(payload)
    zone = _decode_zone(payload[_TIME.size :])
    return time(*parts, tzinfo=zone, fold=fold)  # type: ignore[misc]


def _encode_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)


def _decode_timedelta(payload: bytes) -> timedelta:
    return timedelta(*_TIMEDELTA.unpack(payload))


def _encode_uuid(value: UUID) -> bytes:
    return value.bytes


def _decode_uuid(payload: bytes) -> UUID:
    return UUID(bytes=payload)


def _decode_markup(payload: bytes) -> Markup:
    return Markup(payload.decode())


def _encode_zone(zone: tzinfo | None, when: datetime | None) -> bytes:
    if zone is None:
        return b""
    if zone is UTC:
        return b"U"
    if type(zone) is timezone:
        return _encode_offset(zone)
    if type(zone) is ZoneInfo and _is_found(zone, when):
        return b"Z" + utf8(zone.key)
    raise UnsupportedValue(
        "",
        f"time zone of type {type(zone).__name__} that could not be found again: "
        f"use timezone.utc, timezone(offset) or ZoneInfo(key)",
    )


def _encode_offset(zone: timezone) -> bytes:
    offset = zone.utcoffset(None)
    name = zone.tzname(None)
    packed = _OFFSET.pack(offset // _MICROSECOND)
    # timezone(0) is timezone.utc, so a zone without offset that is another has a name.
    if offset and name == timezone(offset).tzname(None):
        return b"O" + packed
    return b"N" + packed + utf8(name)


def _is_found(zone: ZoneInfo, when: datetime | None) -> bool:
    """Whether the key of *zone* leads to it. One read from a file may have any key, or none."""
    try:
        found = ZoneInfo(zone.key)
    except _DAMAGED:
        return False
    return found is zone or found.utcoffset(when) == zone.utcoffset(when)


def _decode_zone(payload: bytes) -> tzinfo | None:
    if not payload:
        return None
    letter, rest = payload[:1], payload[1:]
    if letter == b"U" and not rest:
        return UTC
    if letter == b"Z":
        # ZoneInfo accepts no key that leads out of the time zone directories.
        return ZoneInfo(rest.decode())
    if letter == b"O":
        return timezone(timedelta(microseconds=_OFFSET.unpack(rest)[0]))
    if letter == b"N":
        offset = timedelta(microseconds=_OFFSET.unpack_from(rest)[0])
        return timezone(offset, rest[_OFFSET.size :].decode())
    raise ValueError("unknown time zone")


SCALARS = (
    Scalar(1, int, _encode_int, _decode_int),
    Scalar(2, Decimal, _encode_decimal, _decode_decimal),
    Scalar(3, Real.datetime, _encode_datetime, _decode_datetime),
    Scalar(4, Real.date, _encode_date, _decode_date),
    Scalar(5, time, _encode_time, _decode_time),
    Scalar(6, timedelta, _encode_timedelta, _decode_timedelta),
    Scalar(7, UUID, _encode_uuid, _decode_uuid),
    Scalar(8, Markup, utf8, _decode_markup),
)
_BY_NUMBER = {scalar.number: scalar for scalar in SCALARS}
_DAMAGED = (ValueError, TypeError, ArithmeticError, LookupError, OSError, struct.error)
