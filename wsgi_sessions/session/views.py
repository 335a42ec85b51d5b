"""``keys()``, ``values()`` and ``items()`` of a session: as those of a dict, last first too."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from typing import Any

__all__ = ["Items", "Keys", "Values"]


class Keys(KeysView[str]):
    """The keys, in the order in which they were put."""

    _mapping: MutableMapping[str, Any]

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._mapping))


class Values(ValuesView[Any]):
    """The values, in the order of their keys."""

    _mapping: MutableMapping[str, Any]

    def __reversed__(self) -> Iterator[Any]:
        return (self._mapping[key] for key in reversed(list(self._mapping)))


class Items(ItemsView[str, Any]):
    """The keys with their values."""

    _mapping: MutableMapping[str, Any]

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        return ((key, self._mapping[key]) for key in reversed(list(self._mapping)))
