"""The lists of owners: which keys belong to whom, in the order in which they were listed.

How this works. The list of an owner is a sorted set with two members for each key: the key itself,
with the time at which it was listed, and ``@`` and the key, with the negative time at which the
entry ends. An entry outlives its record: until the next renewal an ordinary save may move the
record's end by the time that has passed since the last, at most a tenth of the idle lifetime or a
day. What has ended is dropped by the next login, what has no record by who reads the list; and the
set itself lives as long as its last entry.

Record and list are written by one script, which does all or nothing. In a cluster they are in
different slots: there the list comes first, since a login that is not listed is worse than a
listed one that failed. And there the list's node may be dead while the record's is well: for what
cannot be listed each owner has a spare list, whose slot is at least a third of all away, so that
another node has it. Who reads one list reads both, and fails where one of them cannot be read.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.redis.client import Server
from wsgi_sessions.stores.redis.scripts import LIST, UNLIST, Scripts
from wsgi_sessions.stores.redis.slots import are_apart, slot_of
from wsgi_sessions.stores.redis.watched import Command, Reads

__all__ = ["GHOST_SECONDS", "Entry", "OwnerLists"]

GHOST_SECONDS = 60.0
"""For which an entry without a record stays in the list: in a cluster it may belong to a save that
has not come to the record yet. Clocks of hosts may differ by as much."""

AVOIDED_SECONDS = 1.0
"""For which a node that has not taken an entry is not asked again."""

_DAY = 86_400_000
_GHOSTS_AT_ONCE = 1000
_SPARE_NAMES = 64  # each is far away with a chance of one third


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
        self._avoided_until: dict[object, float] = {}

    def name_of(self, owner: str) -> bytes:
        """The name of the list of *owner*, which may be any string."""
        return self._name("owner", owner)

    def put(self, owner: str, key: str, entry: Entry) -> bool:
        """List *key*; whether it certainly was not listed before. One round trip."""
        name, spare = self.name_of(owner), self._spare_of(owner)
        if spare is None:
            return self._put(name, key, entry)
        if not self._is_avoided(name):
            try:
                return self._put(name, key, entry)
            except StoreUnavailable:
                self._avoid(name)
        try:
            return self._put(spare, key, entry)
        except StoreUnavailable as error:
            error.applied = False  # the record comes after it
            error.busy = True  # nothing is known of the record's node
            raise

    def take_off(self, owner: str, key: str) -> None:
        """One round trip. That it failed is no error: the entry goes when the list is read."""
        name = self.name_of(owner)
        command: Command = ("ZREM", name, key, f"@{key}")
        try:
            if not self._is_avoided(name):
                self._server.call(command, self._server.deadline())
        except StoreUnavailable:
            self._avoid(name)

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in order. Two round trips (in a cluster two for
        each node), another where something is listed that has no record."""
        deadline = self._server.deadline()
        names = [name for name in (self.name_of(owner), self._spare_of(owner)) if name is not None]
        lists = self._listed(names, deadline)
        keys = list(dict.fromkeys(chain.from_iterable(lists)))
        if not keys:
            return []
        exists = Reads([("EXISTS", self._prefix + key) for key in keys])
        there: list[Any] = self._server.call(exists, deadline, recognisable=True)
        ghosts = {key for key, found in zip(keys, there, strict=True) if not found}
        for name, listed in zip(names, lists, strict=True):
            self._take_off_ghosts(name, [key for key in listed if key in ghosts], deadline)
        return [key for key in keys if key not in ghosts]

    def _is_avoided(self, name: bytes) -> bool:
        """Whether the node of the list *name* is one of several, and has just been silent."""
        of = self._server.place_of
        return of is not None and time.monotonic() < self._avoided_until.get(of(name), 0.0)

    def _avoid(self, name: bytes) -> None:
        if self._server.place_of is not None:
            place = self._server.place_of(name)
            self._avoided_until.update({place: time.monotonic() + AVOIDED_SECONDS})

    def _put(self, name: bytes, key: str, entry: Entry) -> bool:
        return bool(self._scripts.run(LIST, (name, key, *entry), self._server.deadline()))

    def _listed(self, names: list[bytes], deadline: float) -> list[list[str]]:
        commands: list[Command] = [("ZRANGEBYSCORE", name, "(0", "+inf") for name in names]
        if len(commands) == 1:
            lists = [self._server.call(commands[0], deadline)]
        else:
            lists = self._server.call(Reads(commands), deadline, recognisable=True)
        return [[key.decode() for key in listed] for listed in lists]

    def _take_off_ghosts(self, name: bytes, ghosts: list[str], deadline: float) -> None:
        if ghosts:
            arguments = (name, time.time() - GHOST_SECONDS, *ghosts[:_GHOSTS_AT_ONCE])
            with contextlib.suppress(StoreUnavailable):  # the answer is right as it is
                self._scripts.run(UNLIST, arguments, deadline)

    def _spare_of(self, owner: str) -> bytes | None:
        """Of a cluster, the list whose slot is far from that of *owner*'s list; ``None`` where no
        name leads there, as with a prefix that puts all names into one slot."""
        if self._server.place_of is None:
            return None
        slot = slot_of(self.name_of(owner))
        names = (self._name(f"owner{number}", owner) for number in range(1, _SPARE_NAMES))
        return next((name for name in names if are_apart(slot, slot_of(name))), None)

    def _name(self, kind: str, owner: str) -> bytes:
        return f"{self._prefix}{kind}:{owner}".encode("utf-8", "surrogatepass")
