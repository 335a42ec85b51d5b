"""What one request does to the keys of its session, so that it can be done again.

How this works. A request that finds at commit that another one was faster loads what is there
now and applies its own changes to that. So a change is kept not as a result but as an
instruction, one per key: *put these bytes*, *delete*, or *apply these functions* (to what is there
or to bytes that were put before). ``clear`` comes before all of them and means every key, those
that this request never saw included. Applied to the values this request has seen, the
instructions give what the application has seen; applied to newer values, the merge.

A missing value is ``MISSING``: ``None`` is a value.

Rules for maintainers: nothing here loads, saves or tells the time; ``apply`` never changes
the dict it is given, and returns that very dict if nothing is changed; a function is called once
per key and value it is applied to, so that a merge which finds the key unchanged does not call it
again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from copy import deepcopy
from typing import Any, Final, NamedTuple

from wsgi_sessions.record import ELSEWHERE, StoredValue, content, same, stored_at

__all__ = ["MISSING", "Changes", "Found", "Function", "Values", "value_or"]

_MUTABLE: Final = (list, dict, set)

Function = Callable[[Any], Any]
Decode = Callable[[Any], Any]
Encode = Callable[[str, Any], StoredValue]
Values = dict[str, StoredValue]


class _Marker:
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING: Final = _Marker("MISSING")
_KEEP: Final = _Marker("KEEP")

Found = StoredValue | _Marker
"""A stored value, or ``MISSING``."""


class _Computed(NamedTuple):
    start: Found
    """The value the functions begin with: what was put, ``MISSING``, or what is there (KEEP)."""
    functions: tuple[tuple[Function, Any], ...]
    """Each with the value it is given if there is none."""
    seen: Found
    """What this request applied the functions to."""

    def __repr__(self) -> str:
        return f"<_Computed by {len(self.functions)} functions>"


class Changes:
    """The changes of one request, in the order of their keys' first change."""

    __slots__ = ("_computed", "_moved", "cleared", "only_puts", "results")

    def __init__(self) -> None:
        self.only_puts: bool = True
        """Whether nothing was deleted, cleared or computed."""
        self.cleared: bool = False
        self.results: dict[str, Found] = {}
        """What this request has made of each key that it changed; ``MISSING`` if it deleted it."""
        self._computed: dict[str, _Computed] = {}
        self._moved: Collection[str] = ()
        """Keys that were deleted and put again: as in a dict, they go to the end."""

    def __bool__(self) -> bool:
        return self.cleared or bool(self.results)

    def __contains__(self, key: str) -> bool:
        """Whether these changes say anything about *key*."""
        return self.cleared or key in self.results

    @property
    def keys(self) -> Collection[str]:
        """The keys that were put, deleted or computed."""
        return self.results.keys()

    @property
    def computed(self) -> Collection[str]:
        """The keys whose value a function makes."""
        return self._computed.keys()

    def put(self, key: str, data: Found) -> None:
        results = self.results
        if key in results:
            if self._computed:
                self._computed.pop(key, None)
            if results[key] is MISSING:
                self._moved = {*self._moved, key}
                del results[key]
        results[key] = data

    def delete(self, key: str) -> None:
        self.only_puts = False
        self._computed.pop(key, None)
        self.results[key] = MISSING

    def forget(self, key: str) -> None:
        """Say nothing about *key* any more."""
        self.results.pop(key, None)
        self._computed.pop(key, None)
        self._moved = {*self._moved} - {key}

    def clear(self) -> None:
        self.only_puts, self.cleared = False, True
        self.results.clear()
        self._computed.clear()
        self._moved = ()

    def clear_before(self) -> None:
        """Have a :meth:`clear` come before these changes."""
        self.only_puts, self.cleared = False, True

    def mutate(
        self,
        key: str,
        function: Function,
        default: Any,
        there: Found,
        decode: Decode,
        encode: Encode,
    ) -> Found:
        """Apply *function* to the value of *key*, now and in every later merge.

        *there* is the stored value. The function gets a copy of the value, or *default* if there
        is none. Returns the encoded result, or ``MISSING`` where the function does, which deletes
        the key.
        """
        value = self.current(key, there)
        result = _applied(key, function, default, value, decode, encode)
        before = self._computed.get(key)
        if before is not None:
            computed = before._replace(functions=(*before.functions, (function, default)))
        else:
            is_stored = key not in self
            start = _KEEP if is_stored else value
            computed = _Computed(start, ((function, default),), value)
        self.put(key, result)
        self.only_puts = False
        self._computed[key] = computed
        return result

    def current(self, key: str, there: Found) -> Found:
        """The value of *key* as this request sees it, given the stored one."""
        if key in self.results:
            return self.results[key]
        return MISSING if self.cleared else there

    def apply(
        self, values: Values, decode: Decode, encode: Encode, *, ordered: bool = False
    ) -> Values:
        """*values* with these changes made; the same dict if that changes none of them and, if the
        result is to be *ordered* as the application sees it, none was moved."""
        if self.only_puts:  # nearly always
            return self.with_puts(values)
        merged = {} if self.cleared else values.copy()
        changed = False
        for key in self._moved:
            merged.pop(key, None)
        for key, made in self.results.items():
            there = values.get(key, MISSING)
            if self._computed and key in self._computed:
                there = stored_at(values, key, MISSING)
                made = _result(key, self._computed[key], made, self._seen(there), decode, encode)
            if made is MISSING:
                merged.pop(key, None)
            else:
                merged[key] = made  # type: ignore[assignment]
            if not changed and not same(made, _content(values, key, there)):
                changed = True
        if changed or (ordered and self._moved) or merged.keys() != values.keys():
            return merged
        return values

    def with_puts(self, values: Values) -> Values:
        """As :meth:`apply`, of :attr:`only_puts`."""
        results: dict[str, Any] = self.results
        if not values:
            return results.copy() if results else values
        for key, made in results.items():
            there = values.get(key, MISSING)
            if made is not there and not same(made, _content(values, key, there)):
                return values | results
        return values

    def _seen(self, there: Found) -> Found:
        return MISSING if self.cleared else there


def _content(values: Values, key: str, there: Found) -> Found:
    """*there*, which stands under *key*, or the bytes that it stands for."""
    return content(values, key) if type(there) is bytes and there == ELSEWHERE else there


def _result(
    key: str, computed: _Computed, made: Found, there: Found, decode: Decode, encode: Encode
) -> Found:
    start = there if computed.start is _KEEP else computed.start
    if same(start, computed.seen):
        return made
    data = start
    for function, default in computed.functions:
        data = _applied(key, function, default, data, decode, encode)
    return data


def _applied(
    key: str, function: Function, default: Any, data: Found, decode: Decode, encode: Encode
) -> Found:
    made = function(value_or(default, data, decode))
    return MISSING if made is MISSING else encode(key, made)


def value_or(default: Any, data: Found, decode: Decode) -> Any:
    """What a function is given: the value that was encoded to *data*; *default*, of a container a
    copy since the function may change it, if there is none that can be decoded."""
    with suppress(ValueError):
        if data is not MISSING:
            return decode(data)
    return deepcopy(default) if type(default) in _MUTABLE else default
