"""The lists of owners: which keys belong to whom, in the order in which they were listed.

How this works. The list of an owner is a sorted set with two members for each key: the key itself,
with the time at which it was listed, and ``@`` and the key, with the negative time at which the
entry ends. An entry outlives its record: until the next renewal an ordinary save may move the
record's end by the time that has passed since the last, at most a tenth of the idle lifetime or a
day. What has ended is dropped by the next login, what has no record by who reads the list; and the
set itself lives as long as its last entry.

Record and list are written by one script, which does all or nothing. In a cluster they are in
different slots: there the list comes first, since a login that is not listed is worse than a
listed one that failed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.redis.client import Server
from wsgi_sessions.stores.redis.scripts import LIST, UNLIST, Scripts
from wsgi_sessions.stores.redis.watched import Command, Reads

__all__ = ["GHOST_SECONDS", "Entry", "OwnerLists"]

GHOST_SECONDS = 60.0
"""For which an entry without a record stays in the list: in a cluster it may belong to a save that
has not come to the record yet. Clocks of hosts may differ by as much."""

_DAY = 86_400_000
_GHOSTS_AT_ONCE = 1000


class Entry(NamedTuple):
    """What a list keeps of a record."""

    now: float
    ends_at: float
    left: int
    """Milliseconds until then."""
    keeps_place: int
    """1 where it may be listed already and stays where it is, else 0."""

    @classmethod
    def of(cls, left: int, *, keeps_place: bool) -> Entry:
        """That of a record which has *left* milliseconds; a minute is for clocks that differ."""
        now, left = time.time(), left + math.ceil(min(left / 10, _DAY) + 60_000)
        return cls(now, now + left / 1000, left, int(keeps_place))


class OwnerLists:
    """Those at *server* under *prefix*."""

    def __init__(self, server: Server, scripts: Scripts, prefix: str) -> None:
        self._server = server
        self._scripts = scripts
        self._prefix = prefix

    def name_of(self, owner: str) -> bytes:
        """The name of the list of *owner*, which may be any string."""
        return f"{self._prefix}owner:{owner}".encode("utf-8", "surrogatepass")

    def put(self, owner: str, key: str, entry: Entry) -> bool:
        """List *key*; whether it certainly was not listed before. One round trip."""
        arguments = (self.name_of(owner), key, *entry)
        added = self._scripts.run(LIST, arguments, self._server.deadline())
        return bool(added)

    def take_off(self, owner: str, key: str) -> None:
        """One round trip. That it failed is no error: the entry goes when the list is read."""
        command: Command = ("ZREM", self.name_of(owner), key, f"@{key}")
        with contextlib.suppress(StoreUnavailable):
            self._server.call(command, self._server.deadline())

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in order. Two round trips (in a cluster one and
        one for each node), another where something is listed that has no record."""
        name, deadline = self.name_of(owner), self._server.deadline()
        listed = self._server.call(("ZRANGEBYSCORE", name, "(0", "+inf"), deadline)
        keys = [one.decode() for one in listed]
        if not keys:
            return []
        exists = Reads([("EXISTS", self._prefix + key) for key in keys])
        there: list[Any] = self._server.call(exists, deadline, recognisable=True)
        ghosts = [key for key, found in zip(keys, there, strict=True) if not found]
        if ghosts:
            arguments = (name, time.time() - GHOST_SECONDS, *ghosts[:_GHOSTS_AT_ONCE])
            with contextlib.suppress(StoreUnavailable):  # the answer is right as it is
                self._scripts.run(UNLIST, arguments, deadline)
        return [key for key, found in zip(keys, there, strict=True) if found]
