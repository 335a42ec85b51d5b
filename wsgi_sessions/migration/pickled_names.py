"""What the names in a pickle of plain values stand for.

A name stands for a function here, which takes the parts of its arguments and gives a part of a
:mod:`~wsgi_sessions.migration.tree`. What a pickle names is never imported, called or changed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from wsgi_sessions.migration.tree import Node, NotPlain

__all__ = ["CALLED", "CREATED", "Name", "set_state"]

_MAX_DIGITS = 4300
"""Of a Decimal: what Python reads of an int."""

_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Name:
    """Something that a pickle has named. It is no value."""

    __slots__ = ("dotted",)

    def __init__(self, module: str, name: str) -> None:
        module = _PYTHON_2.get(module, module)
        self.dotted: str = "builtins.str" if name == "unicode" else f"{module}.{name}"


Part = Node | Name


def _part(make: Callable[..., Any]) -> Callable[[list[Any]], Part]:
    return lambda arguments: Node(make, arguments)


def _datetime(state: bytes, zone: tzinfo | None = None) -> datetime:
    # Of a state only the month is checked, by replace() all of it.
    make: Callable[..., datetime] = datetime
    return make(_checked(state, 10), zone).replace()


def _date(state: bytes) -> date:
    make: Callable[..., date] = date
    return make(_checked(state, 4)).replace()


def _time(state: bytes, zone: tzinfo | None = None) -> time:
    make: Callable[..., time] = time
    return make(_checked(state, 6), zone).replace()


def _checked(state: bytes, length: int) -> bytes:
    if type(state) is not bytes or len(state) != length:
        raise NotPlain("it has no state of a time")
    return state


def _decimal(text: str) -> Decimal:
    if len(_text(text)) > _MAX_DIGITS:
        raise NotPlain("it is too large")
    return Decimal(text)


def _markup(text: str) -> Markup:
    return Markup(_text(text))


def _text(text: str) -> str:
    if type(text) is not str:
        raise NotPlain("it has no text where one belongs")
    return text


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 and older write bytes."""
    if encoding != "latin1":
        raise NotPlain("it has bytes in an unknown spelling")
    return text.encode("latin1")


def _zone(key: str, _from_cache: int) -> ZoneInfo:
    return ZoneInfo(_text(key))


def _uuid(state: dict[str, int]) -> UUID:
    number = state["int"]
    if type(number) is not int:
        raise NotPlain("it has a UUID whose number is none")
    return UUID(int=number)


def _no_uuid() -> UUID:
    raise NotPlain("it has a UUID without its number")


def set_state(part: Any, state: Any) -> None:
    """Give *part* its state. None but a new UUID has one."""
    if type(part) is not Node or part.make is not _no_uuid:
        raise NotPlain("it gives a state to what has none")
    part.make, part.items = _uuid, [state]


def _collection(kind: Callable[..., Any]) -> Callable[[list[Any]], Part]:
    """``set([…])``"""

    def part(arguments: list[Any]) -> Part:
        return Node(kind, _listed(*arguments))

    return part


def _ordered(arguments: list[Any]) -> Part:
    """``OrderedDict()``, to be filled; of Python 2 ``OrderedDict([[key, value], …])``."""
    pairs = _listed(*arguments) if arguments else []
    return Node(dict, [item for pair in pairs for item in _pair(*pair.items)])


def _pair(key: Any, item: Any) -> tuple[Any, Any]:
    return key, item


def _listed(items: Any) -> list[Any]:
    if type(items) is not Node or items.make is not list:
        raise NotPlain("it has no list where one belongs")
    return items.items


def _attribute(arguments: list[Any]) -> Part:
    """``getattr(ZoneInfo, "_unpickle")``"""
    owner, name = arguments
    if owner.dotted != "zoneinfo.ZoneInfo" or name != "_unpickle":
        raise NotPlain("it names an attribute")
    return Name("zoneinfo", "ZoneInfo._unpickle")


def _reconstructed(arguments: list[Any]) -> Part:
    """``_reconstructor(cls, base, state)``: how protocols 0 and 1 create an object."""
    kind, base, state = arguments
    if (kind.dotted, base.dotted) == ("markupsafe.Markup", "builtins.str"):
        return Node(_markup, [state])
    if (kind.dotted, base.dotted, state) == ("uuid.UUID", "builtins.object", None):
        return Node(_no_uuid, [])
    raise NotPlain("it creates an object of another type")


CREATED: dict[str, Callable[[list[Any]], Part]] = {
    "markupsafe.Markup": _part(_markup),
    "uuid.UUID": _part(_no_uuid),
}
"""By ``cls.__new__(cls, …)``."""

CALLED: dict[str, Callable[[list[Any]], Part]] = {
    "_codecs.encode": _part(_latin1),
    "builtins.bytes": _part(lambda: b""),
    "builtins.frozenset": _collection(frozenset),
    "builtins.getattr": _attribute,
    "builtins.set": _collection(set),
    "collections.OrderedDict": _ordered,
    "copyreg._reconstructor": _reconstructed,
    "datetime.date": _part(_date),
    "datetime.datetime": _part(_datetime),
    "datetime.time": _part(_time),
    "datetime.timedelta": _part(timedelta),
    "datetime.timezone": _part(timezone),
    "decimal.Decimal": _part(_decimal),
    "zoneinfo.ZoneInfo._unpickle": _part(_zone),
}
"""By a call."""
