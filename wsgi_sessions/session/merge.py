"""A three-way merge of one value: what was loaded, what this request made of it, what is there now.

How this works. Programs written for sessions in cookies keep many things under one key: the open
tabs of a console, the items of a cart, messages to be shown. Two overlapping requests that each add
something have then changed the same key. Under ``merge_keys`` both changes are made: entries of a
dict that one side added, changed or removed, in nested dicts too, and items that both sides
appended to a list; of a list that one side has emptied, or deleted, what the other has appended.
What both sides changed in another way is as this request, the later, has it.

Rules for maintainers: this runs only where another request was faster, so it may be slow; it must
not fail. Values are compared by their encoding, because ``1 == True``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wsgi_sessions.record import StoredValue, same
from wsgi_sessions.session.changes import MISSING, Found

__all__ = ["merge_encoded"]

_MISSING: Final = object()

Encode = Callable[[Any], StoredValue]


def merge_encoded(
    base: Found,
    mine: Found,
    theirs: Found,
    decode: Callable[[Any], Any],
    encode: Encode,
) -> Found:
    """The encoded value that holds the changes of both sides, each of which may be missing.

    *mine* is what this request has, and is what comes of anything that cannot be merged. A side
    that has deleted a dict or a list has removed all that *base* held, and nothing that the other
    side has added since."""
    if same(theirs, base):
        return mine
    if same(mine, base):
        return theirs
    deleted = mine is MISSING or theirs is MISSING
    try:
        kind = type(decode((mine if theirs is MISSING else theirs) if base is MISSING else base))
        if deleted and kind not in (dict, list):
            return mine
        values = (kind() if one is MISSING else decode(one) for one in (base, mine, theirs))
        merged = _Merge(encode).value(*values)
        return MISSING if deleted and not merged else encode(merged)
    except (ValueError, TypeError):  # what is there was damaged, or planted
        return mine


class _Merge:
    """Merges decoded values."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def value(self, base: Any, mine: Any, theirs: Any) -> Any:
        """Of a value that both sides changed."""
        kind = type(mine)
        if base is _MISSING and kind is type(theirs) and kind in (dict, list):
            base = kind()  # both sides began it
        if not (type(base) is kind is type(theirs)):
            return mine
        if kind is dict:
            return self._dicts(base, mine, theirs)
        if kind is list:
            return self._lists(base, mine, theirs)
        return mine

    def _dicts(
        self, base: dict[Any, Any], mine: dict[Any, Any], theirs: dict[Any, Any]
    ) -> dict[Any, Any]:
        merged = dict(theirs)
        for key in dict.fromkeys((*base, *mine)):
            was, is_mine = base.get(key, _MISSING), mine.get(key, _MISSING)
            if self._same(was, is_mine):
                continue
            there = theirs.get(key, _MISSING)
            entry = is_mine if self._same(was, there) else self.value(was, is_mine, there)
            if entry is _MISSING:
                merged.pop(key, None)
            else:
                merged[key] = entry
        return merged

    def _lists(self, base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
        length = len(base)
        if base and not mine and self._same(base, theirs[:length]):
            return theirs[length:]  # shown and emptied: what came later is still to be shown
        if base and not theirs and self._same(base, mine[:length]):
            return mine[length:]
        if self._same(base, mine[:length]) and self._same(base, theirs[:length]):
            return [*theirs, *mine[length:]]
        return mine

    def _same(self, one: Any, other: Any) -> bool:
        if one is _MISSING or other is _MISSING:
            return one is other
        return same(self._encode(one), self._encode(other))
