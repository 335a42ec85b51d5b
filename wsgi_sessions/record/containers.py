"""Containers on the wire, and any supported value out of its flat copy, which
:mod:`wsgi_sessions.record.flatten` makes: in terms that ``ormsgpack`` encodes exactly.

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
20  another   one plain value; the extension's payload is the
              tag of a type of the application's, in UTF-8
=== ========= =================================================

This is a wire format: add to it, never change it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

import ormsgpack

from wsgi_sessions.record.scalars import decode
from wsgi_sessions.record.stored_type import OWN_TYPE, OwnTypes

__all__ = ["ALIKE", "DEPTH", "OPTIONS", "Extension", "are_alike", "restore"]

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


def are_alike(keys: Collection[Any]) -> bool:
    """Whether too many have the same hash."""
    return len(keys) > ALIKE and Counter(map(hash, keys)).most_common(1)[0][1] > ALIKE


def restore(flat: Any, own: OwnTypes) -> Any:
    """The value that was flattened to *flat*.

    :raises ValueError: nothing is flattened to that, or an application's type cannot be restored.
    """
    try:
        return _restore(flat, DEPTH, own)
    except ValueError:
        raise
    except Exception:  # noqa: BLE001
        raise ValueError("a set or a dict holds a key that cannot be one") from None


def _restore(flat: Any, room: int, own: OwnTypes) -> Any:
    kind = type(flat)
    if kind is Extension:
        return decode(flat.start, flat.stop)
    if kind is not list and kind is not dict:
        return flat
    if not room:
        raise ValueError(f"nested deeper than {DEPTH} levels")
    if kind is dict:
        return dict(zip(flat, _restore_items(flat.values(), room - 1, own), strict=True))
    shape = _shape(flat[0], own) if flat else None
    if shape is None:
        return _restore_items(flat, room - 1, own)
    return shape(_restore_items(flat[1:], room - 1, own))


def _restore_items(items: Iterable[Any], room: int, own: OwnTypes) -> list[Any]:
    return [item if type(item) in _DONE else _restore(item, room, own) for item in items]


def _shape(first: Any, own: OwnTypes) -> Callable[[list[Any]], Any] | None:
    if type(first) is not Extension:
        return None
    if first.start == OWN_TYPE and first.stop:
        return lambda items: own.restore(first.stop, items)
    return None if first.stop else _SHAPES.get(first.start)


def _restore_set(items: list[Any]) -> set[Any]:
    if are_alike(items):
        raise ValueError(f"more than {ALIKE} items of a set have the same hash")
    value = set(items)
    if len(value) != len(items):
        raise ValueError("a set has equal items")
    return value


def _restore_frozenset(items: list[Any]) -> frozenset[Any]:
    return frozenset(_restore_set(items))


def _restore_dict(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if are_alike(keys):
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
