"""What one request does to the keys of its session, so that it can be done again.

How this works. A request that finds at commit that another one was faster loads what is there
now and applies its own changes to that. So a change is kept not as a result but as an
instruction, one per key: *put these bytes*, *delete*, or *apply these functions* (to what is there
or to bytes that were put before). ``clear`` comes before all of them and means every key, those
that this request never saw included. Applied to the values this request has seen, the
instructions give what the application has seen; applied to newer values, the merge.

Rules for whoever edits this: nothing here loads, saves or tells the time; ``apply`` never changes
the dict it is given; a function is called once per key and value it is applied to, so that a merge
which finds the key unchanged does not call it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

__all__ = ["MISSING", "Changes", "Function"]

Function = Callable[[Any], Any]
Decode = Callable[[bytes], Any]
Encode = Callable[[str, Any], bytes]


class _Marker:
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING: Final = _Marker("MISSING")
_KEEP: Final = _Marker("KEEP")


class _Change(NamedTuple):
    start: bytes | _Marker | None
    """The value the functions begin with: put bytes, ``None`` for deleted, or what is there."""
    functions: tuple[tuple[Function, Any], ...]
    """Each with the value it is given if there is none."""
    seen: bytes | None
    result: bytes | None
    """What came out when this request applied the functions to *seen*."""

    def __repr__(self) -> str:
        return f"<_Change with {len(self.functions)} functions>"


class Changes:
    """The changes of one request, in the order of their keys' first change."""

    __slots__ = ("_by_key", "cleared")

    def __init__(self) -> None:
        self.cleared: bool = False
        self._by_key: dict[str, _Change] = {}

    def __bool__(self) -> bool:
        return self.cleared or bool(self._by_key)

    def __contains__(self, key: str) -> bool:
        """Whether these changes say anything about *key*."""
        return self.cleared or key in self._by_key

    @property
    def keys(self) -> Collection[str]:
        """The keys that were put, deleted or computed."""
        return self._by_key.keys()

    @property
    def computed(self) -> list[str]:
        """The keys whose value a function makes."""
        return [key for key, change in self._by_key.items() if change.functions]

    def put(self, key: str, data: bytes) -> None:
        self._by_key[key] = _Change(data, (), None, data)

    def delete(self, key: str) -> None:
        self._by_key[key] = _Change(None, (), None, None)

    def clear(self) -> None:
        self.cleared = True
        self._by_key.clear()

    def mutate(
        self,
        key: str,
        function: Function,
        default: Any,
        there: bytes | None,
        decode: Decode,
        encode: Encode,
    ) -> bytes:
        """Apply *function* to the value of *key*, now and in every later merge.

        *there* is the stored value. The function gets a copy of the value, or *default* if there
        is none. Returns the encoded result.
        """
        before = self._by_key.get(key)
        value = self.current(key, there)
        result = encode(key, function(default if value is None else decode(value)))
        if before is None:
            start: bytes | _Marker | None = None if self.cleared else _KEEP
            change = _Change(start, ((function, default),), None if self.cleared else there, result)
        else:
            functions = (*before.functions, (function, default))
            seen = before.seen if before.functions else before.result
            change = _Change(before.start, functions, seen, result)
        self._by_key[key] = change
        return result

    def current(self, key: str, there: bytes | None) -> bytes | None:
        """The value of *key* as this request sees it, given the stored one."""
        change = self._by_key.get(key)
        if change is not None:
            return change.result
        return None if self.cleared else there

    def apply(self, values: dict[str, bytes], decode: Decode, encode: Encode) -> dict[str, bytes]:
        """*values* with these changes made; the same dict if there are none."""
        if not self:
            return values
        merged = {} if self.cleared else values.copy()
        for key, change in self._by_key.items():
            result = change.result
            if change.functions:
                result = _result(key, change, merged.get(key), decode, encode)
            if result is None:
                merged.pop(key, None)
            else:
                merged[key] = result
        return merged


def _result(
    key: str, change: _Change, there: bytes | None, decode: Decode, encode: Encode
) -> bytes | None:
    start = there if isinstance(change.start, _Marker) else change.start
    if start == change.seen:
        return change.result
    data = start
    for function, default in change.functions:
        data = encode(key, function(default if data is None else decode(data)))
    return data
