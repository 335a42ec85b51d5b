"""How one value becomes bytes, and the same value again.

How this works
--------------
The bytes are MessagePack, made and read by ``ormsgpack``. What MessagePack has is *plain*:
``None``, ``bool``, ``int`` of 64 bits, ``float``, ``str``, ``bytes``, ``list``, and ``dict`` with
``str`` keys. A plain value is one call of ``ormsgpack`` and one check that it was plain indeed,
both without a line of Python per item. Any other takes the second way, over a flat copy of plain
values and extension types: :mod:`wsgi_sessions.record.flatten` and back by
:mod:`wsgi_sessions.record.containers`, with :mod:`wsgi_sessions.record.scalars` for what has no
items. There an instance of a subclass becomes a value of its parent
(:mod:`wsgi_sessions.record.parents`), and a type of the application's own is what the codec was
given for it (:mod:`wsgi_sessions.record.stored_type`).

Rules for maintainers
---------------------
* Types are compared exactly: only an exact value takes the first way. What a subclass overrides is
  never called.
* ``ormsgpack`` never calls into Python: there is no ``default``, and the ``ext_hook`` is written in
  C. Python code there would run while a list is half encoded, so that another thread could change
  the list; and what a signal handler raised would be swallowed.
* ``ormsgpack`` must be 1.13.1 or newer: earlier ones allocate what an array's header announces,
  and crash on five bytes.
* The same value gives the same bytes in every process, and ``dumps(loads(data)) == data``.
* Nothing that is decoded is executed, and nothing is looked up by it but a time zone, and a tag
  among those that the codec was given.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from gc import get_referents, is_tracked
from typing import Any, Protocol

from ormsgpack import packb, unpackb

from wsgi_sessions.errors import UnsupportedValue
from wsgi_sessions.record.containers import DEPTH, OPTIONS, Extension, restore
from wsgi_sessions.record.flatten import LISTED, Flattener
from wsgi_sessions.record.parents import full_name
from wsgi_sessions.record.scalars import SCALARS
from wsgi_sessions.record.stored_type import OwnTypes, TypeEntry

__all__ = ["IMMUTABLE", "Codec", "Converted", "MsgpackCodec", "perhaps_changed"]

_PLAIN_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({list, dict})
_PLAIN = _PLAIN_SCALARS | _CONTAINERS

IMMUTABLE: frozenset[type] = _PLAIN_SCALARS | {frozenset} | {scalar.type for scalar in SCALARS}
"""Exact types whose instances cannot change once handed out. Not ``tuple``: it may hold a list."""


def perhaps_changed(values: Mapping[str, Any], dumped: Mapping[str, Any]) -> list[str]:
    """The keys of *dumped*, which are bytes that :meth:`MsgpackCodec.dumps` made of the *values*,
    but those whose value would surely give the same again. In a third of what ``dumps`` takes."""
    keys = []
    for key, data in dumped.items():
        try:
            if packb(values[key], option=OPTIONS) == data:
                continue
        except TypeError:  # it takes the second way
            pass
        keys.append(key)
    return keys


class Converted(bytes):
    """The bytes of a value that does not come back as it was given. A session that gets them holds
    from then on what comes back, so that it does not change its type between two requests."""

    __slots__ = ()


class Codec(Protocol):
    """How one value of a session becomes bytes. Used by many threads at once.

    It may have an attribute ``immutable``: a tuple of types, beside :data:`IMMUTABLE`, whose values
    never change in place.
    """

    def dumps(self, value: Any) -> bytes:
        """The bytes of *value*, the same in every process; :class:`Converted` ones if it will come
        back as something else.

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

    An instance of a subclass is stored as its parent's, and an object with ``__html__`` as
    ``Markup``; the log ``wsgi_sessions`` says so once for each type. *strict* refuses them instead.
    *types* are types of the application's own: each a class (a dataclass, ``Enum``,
    ``NamedTuple``, pydantic model, path, array of numpy), or a
    :class:`~wsgi_sessions.record.StoredType`, or a tuple of its fields.

    A value may nest 64 levels deep. Costs no round trip.

    :raises ConfigurationError: two of *types* have the same tag, one is stored anyway, or a class
        does not say what its values are made of.
    """

    _own = OwnTypes((), LISTED)
    _strict = False
    immutable: tuple[type, ...] = ()
    """Those of *types* whose values never change in place."""

    def __init__(self, *, types: Iterable[TypeEntry] = (), strict: bool = False) -> None:
        if types:
            self._own = OwnTypes(types, LISTED)
            self.immutable = self._own.immutable
        if strict:
            self._strict = True

    def dumps(self, value: Any) -> bytes:
        try:
            # This comes first: it ends at once on a cycle, where the check of a plain one may not.
            data = packb(value, option=OPTIONS)
        except TypeError:
            pass
        else:
            if _is_plain(value, data):
                return data
        flattener = Flattener(self._own, strict=self._strict)
        data = packb(flattener.flatten(value), option=OPTIONS)
        if not flattener.converted:
            return data
        try:
            MsgpackCodec.loads(self, data)
        except ValueError as error:  # two keys have become equal, for example
            raise UnsupportedValue("", f"it would not come back: {error}") from None
        for kind, parent in flattener.converted.values():
            _report(full_name(kind), full_name(parent))
        return Converted(data)

    def loads(self, data: bytes) -> Any:
        framed = _PAIR + data + _PACKED_END
        try:
            value, end = unpackb(framed)
        except ValueError:
            # It has extensions; or it is damaged, and will fail again.
            value, end = unpackb(framed, ext_hook=Extension)
            value = restore(value, self._own)
        else:
            if len(data) > DEPTH and _may_be_deep(framed) and not _has_plain_types(value):
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


_MAX_REPORTED = 1000  # classes that are made as the program runs may have any number of names
_log = logging.getLogger("wsgi_sessions")
_reported: dict[str, object] = {}


def _report(kind: str, parent: str) -> None:
    """Once for each type in a process."""
    this_time = object()
    if len(_reported) < _MAX_REPORTED and _reported.setdefault(kind, this_time) is this_time:
        _log.warning(
            "sessions store a %s as %s, and give it back as that: convert it yourself, or give "
            "its type to MsgpackCodec(types=…); MsgpackCodec(strict=True) refuses it",
            kind,
            parent,
        )


def _is_plain(value: Any, data: bytes) -> bool:
    """Whether *value*, of which ``ormsgpack`` has made *data*, or the reverse, holds only objects
    of exactly the plain types, on at most 64 levels.

    ``ormsgpack`` also takes ``bytearray``, which looks like ``bytes`` in *data*, and objects of its
    own and ``memoryview``, which the garbage collector tracks; and goes deeper. Of plain objects it
    tracks containers only, so that they alone are looked at.
    """
    if 0xC4 in data or 0xC5 in data or 0xC6 in data:
        return _has_plain_types(value)
    if not is_tracked(value):  # a scalar, or a dict of such
        return True
    level = value if type(value) is list else get_referents(value)
    if not any(map(is_tracked, level)):  # as the loop does, for a half
        return True
    for _ in range(DEPTH - 1):
        level = [*filter(is_tracked, level)]
        if not level:
            return True
        if not _CONTAINERS.issuperset(map(type, level)):
            return False
        level = get_referents(*level)
    return _PLAIN_SCALARS.issuperset(map(type, level))


def _has_plain_types(value: Any) -> bool:
    """The same by looking at all."""
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
