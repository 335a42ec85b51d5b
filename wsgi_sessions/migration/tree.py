"""What a decoder of old data has read, before anything is made of it.

Old data is hostile data. Containers are nodes here until all is read, so that nothing is hashed,
compared or called before it is known how deep, how large and how much alike everything is. A part
that is named twice is made twice, as our own records do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsgi_sessions.record import DEPTH, are_alike

__all__ = ["MAX_BYTES", "Node", "NotPlain", "build"]

MAX_BYTES = 8 << 20
"""Of the values of one session: eight times what a record may have, unless it is configured."""

_VALUE_BYTES = 64  # about what Python takes for one


class NotPlain(ValueError):
    """Old data that is damaged, hostile, or more than plain values. The message shows no value."""


class Node:
    """A container, or a call of a function that makes a value of plain ones."""

    __slots__ = ("items", "make")

    def __init__(self, make: Callable[..., Any], items: list[Any]) -> None:
        self.make: Callable[..., Any] = make
        """``list``, ``tuple``, ``set``, ``frozenset``, ``dict``, or what gets *items* as its
        arguments."""
        self.items: list[Any] = items
        """Of a ``dict`` key, value, key, value."""


def build(root: Any) -> Any:
    """The value that *root* stands for. Takes time and memory in proportion to ``MAX_BYTES``.

    :raises NotPlain: it is too deep or too large, holds itself, or has too many keys alike.
        What a function raises is passed on.
    """
    return _Builder().build(root, DEPTH)


class _Builder:
    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_BYTES

    def build(self, part: Any, room: int) -> Any:
        kind = type(part)
        self._left -= _VALUE_BYTES
        if kind is str or kind is bytes:
            self._left -= len(part)
        elif kind is int:
            self._left -= part.bit_length() >> 3
        elif kind is not Node and part is not None and kind is not bool and kind is not float:
            raise NotPlain("it names something that is no value")
        if self._left < 0:
            raise NotPlain("it is too large")
        if kind is not Node:
            return part
        if not room:
            raise NotPlain("it is too deep, or holds itself")
        return _make(part.make, [self.build(item, room - 1) for item in part.items])


def _make(make: Callable[..., Any], items: list[Any]) -> Any:
    if make is list:
        return items
    if make is tuple:
        return tuple(items)
    if make is dict:
        return dict(zip(_unlike(items[::2]), items[1::2], strict=True))
    if make is set or make is frozenset:
        return make(_unlike(items))
    return make(*items)


def _unlike(keys: list[Any]) -> list[Any]:
    if are_alike(keys):
        raise NotPlain("too many keys or items have the same hash")
    return keys
