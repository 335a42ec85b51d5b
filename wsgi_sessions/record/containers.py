"""Any supported value as a flat copy: in terms that ``ormsgpack`` encodes exactly; and back.

Scalars that MessagePack lacks become the extension types 1 to 8 of
:mod:`wsgi_sessions.record.scalars`. Containers stay arrays, so that ``ormsgpack`` does the nesting,
and their first item, an extension without payload, says what they are:

=== ========= =================================================
ext type      the items after it
=== ========= =================================================
16  tuple     its items
17  set       its items, sorted by their bytes
18  frozenset the same
19  dict      key, value, key, value; if any key is not a str
=== ========= =================================================

This is a wire format: add to it, never change it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import Any

import ormsgpack

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.scalars import SCALARS, Scalar, decode, utf8

__all__ = ["DEPTH", "OPTIONS", "Extension", "flatten", "restore"]

DEPTH = 64
"""Levels of containers, exactly. ``ormsgpack`` alone would write 255 and read 1022."""

ALIKE = 128
"""Keys of a dict, or items of a set, that may have the same hash. Python needs time quadratic in
their number, and whoever writes to a store can make them: multiples of 2**61 - 1. Honest ones have
few: 17 powers of two in a thousand, 2**n points of n coordinates that are all -1 or -2."""

OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
"""What is passed through is refused, as there is no ``default``: at once, and unseen. Without the
options ``ormsgpack`` would read attributes of it."""

# A C type that keeps what ext_hook is given: the number of an extension and its payload.
Extension = slice


def flatten(value: Any) -> Any:
    """A copy of *value* that ``ormsgpack`` encodes exactly with :data:`OPTIONS`.

    :raises UnsupportedValue: there is no such copy.
    """
    return _flatten(value, DEPTH)


def restore(flat: Any) -> Any:
    """The value that :func:`flatten` made *flat* of.

    :raises ValueError: *flat* is not what :func:`flatten` makes.
    """
    try:
        return _restore(flat, DEPTH)
    except TypeError:
        raise ValueError("a set or a dict holds a key that cannot be one") from None


def _flatten(value: Any, room: int) -> Any:
    """The same with *room* levels left."""
    # By identity: a metaclass can make a type equal to another, or raise when it is hashed.
    return _FLATTEN.get(id(type(value)), _refuse)(value, room)


def _refuse(value: Any, _room: int) -> Any:
    raise UnsupportedValue("", _why_unsupported(type(value)))


def _flatten_tuple(value: tuple[Any, ...], room: int) -> list[Any]:
    return [_TUPLE, *_flatten_items(value, room)]


def _flatten_items(items: Iterable[Any], room: int) -> list[Any]:
    _check_room(room)
    flat: list[Any] = []
    try:
        # Here and below a copy, made in C and at once, as another thread may change the container.
        # (A tuple of a dict's items is not: it allocates, so a garbage collection may run within.)
        for item in tuple(items):
            flat.append(_flatten(item, room - 1))
    except UnsupportedValue as error:
        raise UnsupportedValue(f"[{len(flat)}]{error.path}", error.reason) from None
    return flat


def _flatten_set(value: set[Any] | frozenset[Any], room: int) -> list[Any]:
    _check_room(room)
    flat, items = [], value.copy()
    for item in items:
        try:
            flat.append(_flatten(item, room - 1))
        except UnsupportedValue as error:
            raise UnsupportedValue(_step(item) + error.path, error.reason) from None
    _check_spread(items)
    flat.sort(key=_pack)
    return [_SET if type(value) is set else _FROZENSET, *flat]


def _pack(flat: Any) -> bytes:
    return ormsgpack.packb(flat, option=OPTIONS)


def _flatten_dict(value: dict[Any, Any], room: int) -> dict[str, Any] | list[Any]:
    _check_room(room)
    keys, items, value = [], [], value.copy()
    for key, item in value.items():
        try:
            keys.append(_flatten(key, room - 1))
            items.append(_flatten(item, room - 1))
        except UnsupportedValue as error:
            raise UnsupportedValue(_step(key) + error.path, error.reason) from None
    if set(map(type, keys)) <= {str}:
        return dict(zip(keys, items, strict=True))
    _check_spread(value)
    return [_DICT, *chain.from_iterable(zip(keys, items, strict=True))]


def _check_room(room: int) -> None:
    if not room:
        reason = f"nested deeper than {DEPTH} levels, or contains itself"
        raise UnsupportedValue("", reason)


def _check_spread(keys: Collection[Any]) -> None:
    if _are_alike(keys):
        raise UnsupportedValue("", f"more than {ALIKE} keys or items have the same hash")


def _are_alike(keys: Collection[Any]) -> bool:
    """Whether too many have the same hash."""
    return len(keys) > ALIKE and Counter(map(hash, keys)).most_common(1)[0][1] > ALIKE


def _step(key: Any) -> str:
    """How a path shows *key*; what is long or of another type may say too much."""
    if type(key) is str and len(key) <= 32 and key.isprintable():
        return f".{key}" if key.isidentifier() else f"[{key!r}]"
    if type(key) is int and key.bit_length() <= 64:
        return f"[{key}]"
    return f"[{type(key).__name__}]"


def _why_unsupported(kind: type) -> str:
    for parent in kind.__mro__:
        if id(parent) in _FLATTEN:
            name = parent.__name__
            return f"{kind.__name__} would come back as {name}: convert it to {name} yourself"
    names = ", ".join(sorted(known.__name__ for known in _FLATTEN_TYPES))
    return f"{kind.__name__} is not one of {names}"


def _flatten_int(value: int, room: int) -> int | ormsgpack.Ext:
    return value if -(1 << 63) <= value < 1 << 64 else _flatten_big_int(value, room)


def _flatten_str(value: str, _room: int) -> str:
    if not value.isascii():
        utf8(value)
    return value


def _as_it_is(value: Any, _room: int) -> Any:
    return value


def _flatten_by(scalar: Scalar) -> Callable[[Any, int], ormsgpack.Ext]:
    number, encode = scalar.number, scalar.encode
    return lambda value, _room: ormsgpack.Ext(number, encode(value))


_flatten_big_int = _flatten_by(SCALARS[0])
_TUPLE, _SET, _FROZENSET, _DICT = (ormsgpack.Ext(number, b"") for number in range(16, 20))

_FLATTEN_TYPES: dict[type, Callable[[Any, int], Any]] = {
    **{scalar.type: _flatten_by(scalar) for scalar in SCALARS},
    type(None): _as_it_is,
    bool: _as_it_is,
    int: _flatten_int,
    float: _as_it_is,
    str: _flatten_str,
    bytes: _as_it_is,
    list: _flatten_items,
    tuple: _flatten_tuple,
    set: _flatten_set,
    frozenset: _flatten_set,
    dict: _flatten_dict,
}
_FLATTEN = {id(kind): flatten for kind, flatten in _FLATTEN_TYPES.items()}


def _restore(flat: Any, room: int) -> Any:
    kind = type(flat)
    if kind is Extension:
        return decode(flat.start, flat.stop)
    if kind is not list and kind is not dict:
        return flat
    if not room:
        raise ValueError(f"nested deeper than {DEPTH} levels")
    if kind is dict:
        return dict(zip(flat, _restore_items(flat.values(), room - 1), strict=True))
    shape = _shape(flat[0]) if flat else None
    if shape is None:
        return _restore_items(flat, room - 1)
    return shape(_restore_items(flat[1:], room - 1))


def _restore_items(items: Iterable[Any], room: int) -> list[Any]:
    return [item if type(item) in _DONE else _restore(item, room) for item in items]


def _shape(first: Any) -> Callable[[list[Any]], Any] | None:
    if type(first) is Extension and not first.stop:
        return _SHAPES.get(first.start)
    return None


def _restore_set(items: list[Any]) -> set[Any]:
    if _are_alike(items):
        raise ValueError(f"more than {ALIKE} items of a set have the same hash")
    value = set(items)
    if len(value) != len(items):
        raise ValueError("a set has equal items")
    return value


def _restore_frozenset(items: list[Any]) -> frozenset[Any]:
    return frozenset(_restore_set(items))


def _restore_dict(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if _are_alike(keys):
        raise ValueError(f"more than {ALIKE} keys of a dict have the same hash")
    value = dict(zip(keys, items[1::2], strict=True))
    if 2 * len(value) != len(items):
        raise ValueError("a dict has equal keys")
    return value


_DONE = frozenset({type(None), bool, int, float, str, bytes})
_SHAPES: dict[int, Callable[[list[Any]], Any]] = {
    16: tuple,
    17: _restore_set,
    18: _restore_frozenset,
    19: _restore_dict,
}
