"""An instance of a subclass as a value of the listed type that it descends from.

Frameworks, OAuth and date libraries put such instances into sessions. What a subclass overrides is
never called: it may show something else than it holds (an iterator, a translation of today), change
the instance, or raise. The parent's own methods are written in C and read what the instance holds.
The one exception is a time zone, which has nothing but its methods.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from operator import is_
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from wsgi_sessions.record.scalars import Real

__all__ = ["PARENT_VALUES", "full_name", "has_html", "items_of", "mro", "type_name", "zone_of"]

# As a metaclass may override or forbid them.
mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
type_name: Callable[[type], str] = type.__dict__["__name__"].__get__
_qualified_name: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_namespace = type.__dict__["__dict__"].__get__


def full_name(kind: type) -> str:
    """With its module, unless it is built in."""
    module = _module(kind)
    builtin = type(module) is not str or module == "builtins"
    return _qualified_name(kind) if builtin else f"{module}.{_qualified_name(kind)}"


def has_html(kind: type) -> bool:
    """Whether instances of *kind* say by ``__html__`` what they are in a page."""
    return any("__html__" in _namespace(parent) for parent in mro(kind))


def items_of(value: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    """The keys and the values of *value*, of one moment, without hashing a key."""
    while True:
        # Each list is made in C and at once, but another thread may have its turn in between.
        keys, items, again = list(dict.keys(value)), list(dict.values(value)), dict.keys(value)
        if len(keys) == len(items) == len(again) and all(map(is_, keys, list(again))):
            break
    if issubclass(type(value), OrderedDict):
        with suppress(Exception):  # a key's own __hash__ may be called, which may raise
            order = list(OrderedDict.__iter__(value))
            by_key = dict(zip(map(id, keys), items, strict=True))
            return order, [by_key[id(key)] for key in order]
    return keys, items


def zone_of(zone: tzinfo | None, when: datetime | time) -> tzinfo | None:
    """*zone* as one that can be stored, with the same offset *when*; else *zone* itself."""
    if zone is None or type(zone) in (timezone, ZoneInfo):
        return zone
    try:
        offset = zone.utcoffset(when if isinstance(when, Real.datetime) else None)
    except Exception:  # noqa: BLE001  # a zone is the application's code
        return zone
    for name in ("key", "zone"):  # as zoneinfo and pytz call it
        with suppress(Exception):
            found = ZoneInfo(getattr(zone, name))
            if when.replace(tzinfo=found).utcoffset() == offset:
                return found
    if offset is None:
        return zone
    return timezone(offset) if offset else UTC


def _datetime(value: datetime) -> datetime:
    if _is_no_time(value):
        raise ValueError
    read = [_get(Real.datetime, name, value) for name in _DATE + _CLOCK]
    plain = Real.datetime(*read, fold=_get(Real.datetime, "fold", value))
    zone = _get(Real.datetime, "tzinfo", value)
    return plain.replace(tzinfo=zone_of(zone, plain.replace(tzinfo=zone)))


def _date(value: Any) -> Any:
    return Real.date(*(_get(Real.date, name, value) for name in _DATE))


def _time(value: time) -> time:
    read = [_get(time, name, value) for name in _CLOCK]
    plain = time(*read, fold=_get(time, "fold", value))
    return plain.replace(tzinfo=zone_of(_get(time, "tzinfo", value), plain))


def _timedelta(value: timedelta) -> timedelta:
    if _is_no_time(value):
        raise ValueError
    return timedelta(*(_get(timedelta, name, value) for name in _DURATION))


def _is_no_time(value: Any) -> bool:
    """Whether it is pandas' ``NaT``: a ``datetime`` of the year 1 that is not equal to itself."""
    try:
        return bool(value != value)
    except Exception:  # noqa: BLE001  # then it is another
        return False


def _get(kind: type, name: str, value: Any) -> Any:
    return getattr(kind, name).__get__(value)


_DATE = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "microsecond")
_DURATION = ("days", "seconds", "microseconds")

PARENT_VALUES: dict[int, Callable[[Any], Any]] = {
    id(int): int.__int__,
    id(float): float.__float__,
    id(str): str.__str__,
    id(bytes): bytes.__bytes__,
    id(list): list.copy,
    id(tuple): lambda value: tuple.__getitem__(value, slice(None)),
    id(set): set().union,
    id(frozenset): frozenset().union,
    id(Decimal): Decimal,
    id(Real.datetime): _datetime,
    id(Real.date): _date,
    id(time): _time,
    id(timedelta): _timedelta,
    id(UUID): lambda value: UUID(int=_get(UUID, "int", value)),
    id(Markup): lambda value: Markup(str.__str__(value)),
}
"""By a type's id: what makes an exact value, one level deep, of a subclass's instance. For ``dict``
that is :func:`items_of`."""
