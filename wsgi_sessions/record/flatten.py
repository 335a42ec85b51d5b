"""Any supported value as a flat copy, in terms that ``ormsgpack`` encodes exactly.

The wire format is that of :mod:`wsgi_sessions.record.containers`. An instance of a subclass is
flattened as its parent (:mod:`wsgi_sessions.record.parents`), and the fact is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, time
from itertools import chain
from typing import Any

import ormsgpack
from markupsafe import Markup

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.containers import ALIKE, DEPTH, OPTIONS, are_alike
from wsgi_sessions.record.parents import (
    PARENT_VALUES,
    has_html,
    items_of,
    mro,
    type_name,
    zone_of,
)
from wsgi_sessions.record.scalars import SCALARS, Real, Scalar, utf8
from wsgi_sessions.record.stored_type import OwnTypes, StoredType

__all__ = ["LISTED", "Flattener"]


class Flattener:
    """Flattens one value. *own* are the application's types; *strict* refuses subclasses."""

    __slots__ = ("converted", "own", "strict")

    def __init__(self, own: OwnTypes, *, strict: bool) -> None:
        self.own: OwnTypes = own
        self.strict: bool = strict
        self.converted: dict[int, tuple[type, type]] = {}
        """The types that were met and will not come back, each with what comes back instead."""

    def flatten(self, value: Any, room: int = DEPTH) -> Any:
        """A copy of *value* that ``ormsgpack`` encodes exactly with ``OPTIONS``.

        :raises UnsupportedValue: there is no such copy, or it has more than *room* levels.
        """
        # By identity: a metaclass can make a type equal to another, or raise when it is hashed.
        return _FLATTEN.get(id(type(value)), _flatten_other)(self, value, room)

    def convert(self, kind: type, parent: type) -> None:
        """Note that a value of type *kind* will come back as a *parent*.

        :raises UnsupportedValue: that is not wanted.
        """
        if self.strict:
            name = type_name(parent)
            reason = f"{type_name(kind)} would come back as {name}: convert it to {name} yourself"
            raise UnsupportedValue("", reason)
        self.converted[id(kind)] = kind, parent


# What MessagePack has


def _as_it_is(_flattener: Flattener, value: Any, _room: int) -> Any:
    return value


def _flatten_int(flattener: Flattener, value: int, room: int) -> int | ormsgpack.Ext:
    return value if -(1 << 63) <= value < 1 << 64 else _flatten_big_int(flattener, value, room)


def _flatten_str(_flattener: Flattener, value: str, _room: int) -> str:
    if not value.isascii():
        utf8(value)
    return value


# Containers


def _flatten_tuple(flattener: Flattener, value: tuple[Any, ...], room: int) -> list[Any]:
    return [_TUPLE, *_flatten_items(flattener, value, room)]


def _flatten_items(flattener: Flattener, items: Iterable[Any], room: int) -> list[Any]:
    _check_room(room)
    flat: list[Any] = []
    try:
        # Here and below a copy, made in C and at once, as another thread may change the container.
        # (A tuple of a dict's items is not: it allocates, so a garbage collection may run within.)
        for item in tuple(items):
            flat.append(flattener.flatten(item, room - 1))
    except UnsupportedValue as error:
        raise _further(f"[{len(flat)}]", error) from error.__cause__
    return flat


def _flatten_set(flattener: Flattener, value: set[Any] | frozenset[Any], room: int) -> list[Any]:
    _check_room(room)
    flat, items = [], value.copy()
    for item in items:
        try:
            flat.append(flattener.flatten(item, room - 1))
        except UnsupportedValue as error:
            raise _further(_step(item), error) from error.__cause__
    _check_spread(items)
    flat.sort(key=_pack)
    return [_SET if type(value) is set else _FROZENSET, *flat]


def _pack(flat: Any) -> bytes:
    return ormsgpack.packb(flat, option=OPTIONS)


def _flatten_dict(flattener: Flattener, value: dict[Any, Any], room: int) -> Any:
    value = value.copy()
    return _flatten_pairs(flattener, value.keys(), value.values(), room)


def _flatten_pairs(
    flattener: Flattener, keys: Collection[Any], values: Collection[Any], room: int
) -> dict[str, Any] | list[Any]:
    _check_room(room)
    flat_keys, items = [], []
    for key, item in zip(keys, values, strict=True):
        try:
            flat_keys.append(flattener.flatten(key, room - 1))
            items.append(flattener.flatten(item, room - 1))
        except UnsupportedValue as error:
            raise _further(_step(key), error) from error.__cause__
    if set(map(type, flat_keys)) <= {str}:
        flat = dict(zip(flat_keys, items, strict=True))
        if len(flat) != len(items):
            raise UnsupportedValue("", "two keys would come back as the same")
        return flat
    _check_spread(keys)
    return [_DICT, *chain.from_iterable(zip(flat_keys, items, strict=True))]


def _check_room(room: int) -> None:
    if not room:
        reason = f"nested deeper than {DEPTH} levels, or contains itself"
        raise UnsupportedValue("", reason)


def _check_spread(keys: Collection[Any]) -> None:
    try:
        alike = are_alike(keys)
    except Exception:  # noqa: BLE001  # by the __hash__ of an application's type
        raise UnsupportedValue("", "a key or item cannot be hashed") from None
    if alike:
        raise UnsupportedValue("", f"more than {ALIKE} keys or items have the same hash")


def _further(step: str, error: UnsupportedValue) -> UnsupportedValue:
    return UnsupportedValue(step + error.path, error.reason)


def _step(key: Any) -> str:
    """How a path shows *key*; what is long or of another type may say too much."""
    if type(key) is str and len(key) <= 32 and key.isprintable():
        return f".{key}" if key.isidentifier() else f"[{key!r}]"
    if type(key) is int and key.bit_length() <= 64:
        return f"[{key}]"
    return f"[{type_name(type(key))}]"


# Scalars that MessagePack lacks


def _flatten_by(scalar: Scalar) -> Callable[[Flattener, Any, int], ormsgpack.Ext]:
    number, encode = scalar.number, scalar.encode
    return lambda _flattener, value, _room: ormsgpack.Ext(number, encode(value))


def _flatten_zoned(flattener: Flattener, value: datetime | time, room: int) -> ormsgpack.Ext:
    """A zone may be another library's: pendulum's are of a subclass of ``ZoneInfo``, those of
    dateutil, pytz and drivers are of ``tzinfo``."""
    zone = value.tzinfo
    stored = zone_of(zone, value)
    if stored is not zone:
        flattener.convert(type(zone), type(stored))
        value = value.replace(tzinfo=stored)
    flat: ormsgpack.Ext = _SCALARS[id(type(value))](flattener, value, room)
    return flat


# All else


def _flatten_other(flattener: Flattener, value: Any, room: int) -> Any:
    kind = type(value)
    for parent in mro(kind):
        own = flattener.own.find(parent)
        if own is not None:
            return _flatten_own(flattener, value, room, *own)
        if id(parent) in _FLATTEN:
            flattener.convert(kind, parent)
            return _flatten_as(parent, flattener, value, room)
    if has_html(kind):
        flattener.convert(kind, Markup)
        return _flatten_html(flattener, value, room)
    names = ", ".join(sorted(listed.__name__ for listed in LISTED))
    raise UnsupportedValue("", f"{type_name(kind)} is not one of {names}")


def _flatten_as(parent: type, flattener: Flattener, value: Any, room: int) -> Any:
    if parent is dict:
        return _flatten_pairs(flattener, *items_of(value), room)
    try:
        plain = PARENT_VALUES[id(parent)](value)
    except Exception:  # noqa: BLE001
        name = type_name(type(value))
        reason = f"{name} holds no value that a {type_name(parent)} can have"
        raise UnsupportedValue("", reason) from None
    return _FLATTEN[id(parent)](flattener, plain, room)


def _flatten_html(flattener: Flattener, value: Any, room: int) -> Any:
    """A translation that is made when it is shown, for example: as Flask keeps it in its cookie."""
    try:
        plain = Markup(str.__str__(value.__html__()))
    except Exception as error:
        reason = f"__html__() of {type_name(type(value))} raised {type_name(type(error))}"
        raise UnsupportedValue("", reason) from error
    return _FLATTEN[id(Markup)](flattener, plain, room)


def _flatten_own(
    flattener: Flattener, value: Any, room: int, own: StoredType, mark: ormsgpack.Ext
) -> list[Any]:
    _check_room(room)
    kind = type(value)
    try:
        plain = own.to_plain(value)
        if kind is not own.type and type(own.from_plain(plain)) is not kind:
            flattener.convert(kind, own.type)
    except UnsupportedValue:
        raise
    except Exception as error:
        reason = f"a function of the stored type {own.tag!r} raised {type_name(type(error))}"
        raise UnsupportedValue("", reason) from error
    return [mark, flattener.flatten(plain, room - 1)]


_SCALARS = {id(scalar.type): _flatten_by(scalar) for scalar in SCALARS}
_flatten_big_int = _SCALARS[id(int)]
_TUPLE, _SET, _FROZENSET, _DICT = (ormsgpack.Ext(number, b"") for number in range(16, 20))

_FLATTEN: dict[int, Callable[[Flattener, Any, int], Any]] = {
    **_SCALARS,
    id(Real.datetime): _flatten_zoned,
    id(time): _flatten_zoned,
    id(type(None)): _as_it_is,
    id(bool): _as_it_is,
    id(int): _flatten_int,
    id(float): _as_it_is,
    id(str): _flatten_str,
    id(bytes): _as_it_is,
    id(list): _flatten_items,
    id(tuple): _flatten_tuple,
    id(set): _flatten_set,
    id(frozenset): _flatten_set,
    id(dict): _flatten_dict,
}

LISTED: frozenset[type] = frozenset(
    {type(None), bool, float, str, bytes, list, tuple, set, frozenset, dict}
    | {scalar.type for scalar in SCALARS}
)
"""The types whose values come back exactly."""
