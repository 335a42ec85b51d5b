"""How one value becomes bytes, and the same value again.

How this works
--------------
The bytes are MessagePack, made and read by ``ormsgpack``. What MessagePack has is *plain*:
``None``, ``bool``, ``int`` of 64 bits, ``float``, ``str``, ``bytes``, ``list``, and ``dict`` with
``str`` keys. A plain value is one call of ``ormsgpack`` and one check that it was plain indeed,
both without a line of Python per item. Any other takes the second way, over a flat copy of plain
values and extension types: :mod:`wsgi_sessions.record.containers` for containers, and
:mod:`wsgi_sessions.record.scalars` for all else.

Rules for whoever edits this
----------------------------
* Types are compared exactly. A subclass would come back as its parent, so it is refused.
* ``ormsgpack`` never calls into Python: there is no ``default``, and the ``ext_hook`` is written in
  C. Python code there would run while a list is half encoded, so that another thread could change
  the list; and what a signal handler raised would be swallowed.
* ``ormsgpack`` must be 1.13.1 or newer: earlier ones allocate what an array's header announces,
  and crash on five bytes.
* The same value gives the same bytes in every process, and ``dumps(loads(data)) == data``.
* Nothing that is decoded is executed, and nothing is looked up by it but a time zone.
"""

from __future__ import annotations

import os
from gc import get_referents
from typing import Any, Protocol

from ormsgpack import packb, unpackb

from wsgi_sessions.record.containers import DEPTH, OPTIONS, Extension, flatten, restore
from wsgi_sessions.record.scalars import SCALARS

__all__ = ["IMMUTABLE", "Codec", "MsgpackCodec"]

_PLAIN_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_PLAIN = _PLAIN_SCALARS | {list, dict}

IMMUTABLE: frozenset[type] = _PLAIN_SCALARS | {frozenset} | {scalar.type for scalar in SCALARS}
"""Exact types whose instances cannot change once handed out. Not ``tuple``: it may hold a list."""


class Codec(Protocol):
    """How one value of a session becomes bytes. Used by many threads at once."""

    def dumps(self, value: Any) -> bytes:
        """The bytes of *value*, the same in every process.

        :raises UnsupportedValue: *value* would not come back the same. The path is relative to
            *value*: ``""`` is the value itself, ``[3].when`` the key ``"when"`` of its item 3. A
            key that is long, or neither ``str`` nor ``int``, and an item of a set are shown by
            their type only.
        """

    def loads(self, data: bytes) -> Any:
        """The value that :meth:`dumps` made *data* of. Executes nothing, whatever *data* holds.

        :raises ValueError: *data* is not what :meth:`dumps` makes.
        """


class MsgpackCodec:
    """MessagePack, extended so that every supported type comes back exactly. Holds no state.

    A value may nest 64 levels deep. Costs no round trip.
    """

    __slots__ = ()

    def dumps(self, value: Any) -> bytes:
        try:
            # This comes first: it ends at once on a cycle, where the check of a plain one may not.
            data = packb(value, option=OPTIONS)
        except TypeError:
            pass
        else:
            if _is_plain(value):
                return data
        return packb(flatten(value), option=OPTIONS)

    def loads(self, data: bytes) -> Any:
        framed = _PAIR + data + _PACKED_END
        try:
            value, end = unpackb(framed)
        except ValueError:
            # It has extensions; or it is damaged, and will fail again.
            value, end = unpackb(framed, ext_hook=Extension)
            value = restore(value)
        else:
            if len(data) > DEPTH and _may_be_deep(framed) and not _is_plain(value):
                raise ValueError(f"nested deeper than {DEPTH} levels")
        if end != _END:
            raise ValueError("something follows the value")
        return value


# ormsgpack ignores what follows the first object. So what is decoded is an array of two, and the
# second must be this, which nobody who writes into a store can know.
_PAIR = b"\x92"
_END = os.urandom(16)
_PACKED_END: bytes = packb(_END)

_CONTAINER_BYTES = {*range(0x80, 0xA0), *range(0xDC, 0xE0)}
_OTHER_BYTES = bytes(byte for byte in range(256) if byte not in _CONTAINER_BYTES)


def _is_plain(value: Any) -> bool:
    """Whether *value* holds only objects of exactly the plain types, on at most 64 levels.

    ``ormsgpack`` also takes ``bytearray``, ``memoryview`` and objects of its own, and goes deeper.
    Level by level in C, this costs a quarter of a loop over the items.
    """
    kind = type(value)
    if kind is not list and kind is not dict:
        return kind in _PLAIN_SCALARS
    level = value if kind is list else value.values()
    for _ in range(DEPTH):
        kinds = set(map(type, level))
        if kinds <= _PLAIN_SCALARS:
            return True
        if not kinds <= _PLAIN:
            return False
        level = get_referents(*level)
    return False


def _may_be_deep(data: bytes) -> bool:
    """Whether there are enough bytes that could begin an array or a map: cheap, seldom true."""
    return len(data.translate(None, _OTHER_BYTES)) > DEPTH
