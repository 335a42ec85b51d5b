"""The nodes of a Redis Cluster at a URL, each reached over connections of the store's own.

How this works. A key belongs to one of 16384 slots, by its CRC, and a slot to one node. The table
of them is what ``CLUSTER SLOTS`` says; it is fetched when it is first needed, and again, once a
second at most, after a node has failed or sent us elsewhere. To each node goes one
:class:`~.connections.Connections`, so that a command costs what it costs at a single server, keeps
to the store's time limits, and can have a ``WAIT`` behind it.

Rules for maintainers: the table is replaced as a whole, never changed in part but for one slot, so
that there is no lock, and none to be held in a fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.redis.client import UNKNOWN_NODE
from wsgi_sessions.stores.redis.connections import Connections
from wsgi_sessions.stores.redis.replies import (
    CrossSlot,
    Elsewhere,
    NoScript,
    NotPermitted,
    WrongType,
)
from wsgi_sessions.stores.redis.several import Place, hosts_of
from wsgi_sessions.stores.redis.slots import SLOTS, slot_of
from wsgi_sessions.stores.redis.watched import Asking, Command, Reads, key_of
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = ["ClusterConnections"]

_URL = "redis+cluster://[[user]:password@]host[:6379][,host…]"
_RELEARN_SECONDS = 1.0
_ATTEMPTS = 4
"""Nodes that one command is sent to: two while a key is moved, one more where the table is old."""


class _Node(Connections):
    """One node. Where it says that another has the key, its connections are good still."""

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        super().__init__(url, wait_replicas=wait_replicas, timeouts=timeouts)
        self._wrong_server = (self._errors.ReadOnlyError, self._errors.ClusterDownError)


class ClusterConnections:
    """The Cluster whose nodes *url* names; one that answers is enough to find the others."""

    is_cluster = True

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        self._hosts = hosts_of(url, 6379, _URL)
        if self._hosts.path not in ([], ["0"]):
            raise ConfigurationError(f"a Redis Cluster has no other database; write {_URL}")
        self._options: dict[str, Any] = {"wait_replicas": wait_replicas, "timeouts": timeouts}
        self._nodes: dict[Place, _Node] = {}
        self._table: list[Place | None] = [None] * SLOTS
        self._learn_at = 0.0  # not before, once a table is known
        self._first = self._at(self._hosts.places[0])  # the options are checked at once

    def deadline(self) -> float:
        return self._first.deadline()

    def place_of(self, name: str | bytes) -> str:
        place = self._table[slot_of(name)]
        return "{}:{}".format(*place) if place else UNKNOWN_NODE

    def call(
        self,
        command: Command,
        deadline: float = 0.0,
        *,
        replicated: bool = False,
        recognisable: bool = False,
    ) -> Any:
        deadline = deadline or self.deadline()
        if type(command) is Reads:
            return self._all_replies(command.commands, deadline)
        name = key_of(command)
        if name is None:
            return self._ask_any(command, deadline)
        slot = slot_of(name)
        place = self._table[slot] or self._learned(slot, deadline)
        sent = command
        for attempt in range(_ATTEMPTS):
            try:
                node = self._at(place)
                return node.call(sent, deadline, replicated=replicated, recognisable=recognisable)
            except Elsewhere as error:
                if attempt == _ATTEMPTS - 1 or (error.asking and type(command) is not tuple):
                    raise
                place, sent = self._redirected(slot, place, command, error, deadline)
            except (NoScript, NotPermitted, WrongType, CrossSlot):
                raise
            except StoreUnavailable as error:
                was, place = place, self._learned(slot, deadline, failed=place)
                repeatable = recognisable or command[0] == "GET" or error.applied is False
                if error.busy or place == was or not repeatable:
                    raise
                sent = command
        raise AssertionError("the last attempt returns or raises")

    def scan(self, pattern: str) -> Iterator[bytes]:
        if not any(self._table):
            self._learn(self.deadline())
        for place in {place for place in self._table if place}:
            yield from self._at(place).scan(pattern)

    def close(self) -> None:
        """Close the connections that are not in use; later operations open new ones."""
        for node in list(self._nodes.values()):
            node.close()

    def _at(self, place: Place) -> _Node:
        try:
            return self._nodes[place]
        except KeyError:
            node = _Node(self._hosts.url_of(place), **self._options)
            return self._nodes.setdefault(place, node)

    def _redirected(
        self, slot: int, place: Place, command: Command, error: Elsewhere, deadline: float
    ) -> tuple[Place, Command]:
        """Where *command* is to be sent, and as what."""
        host, port = error.place
        target = (_host(host, place[0]), port)
        if error.asking:
            return target, Asking(command)
        self._learn(deadline, first=target)
        self._table[slot] = target
        return target, command

    def _learned(self, slot: int, deadline: float, failed: Place | None = None) -> Place:
        """Which node has *slot*, by the others' word if one has *failed*."""
        try:
            self._learn(deadline, failed=failed)
        except StoreUnavailable:
            if failed is None:
                raise
        place = self._table[slot]
        if place is None:
            raise StoreUnavailable("no node of the Redis Cluster has the key", applied=False)
        return place

    def _learn(
        self, deadline: float, *, first: Place | None = None, failed: Place | None = None
    ) -> None:
        """Fetch the table, unless that was done a moment ago."""
        now, known = monotonic(), any(self._table)
        if known and now < self._learn_at:
            return
        self._learn_at = now + _RELEARN_SECONDS
        places = dict.fromkeys([first, *self._table, *self._hosts.places])
        asked = [place for place in places if place and place != failed]
        failure = StoreUnavailable("no node of the Redis Cluster answers", applied=False)
        for place in asked:
            halfway = monotonic() + (deadline - monotonic()) / 2  # the next one needs time, too
            try:
                ranges = self._at(place).call(("CLUSTER", "SLOTS"), halfway)
            except StoreUnavailable as error:
                failure = error
                continue
            self._table = _table_of(ranges, place[0])
            return
        failure.applied = False
        raise failure

    def _all_replies(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """In one round trip for each node; one command after the other, where that fails."""
        at: dict[Place, list[Command]] = {}
        for command in commands:
            slot = slot_of(key_of(command))
            at.setdefault(self._table[slot] or self._learned(slot, deadline), []).append(command)
        replies: dict[Command, Any] = {}
        for place, its in at.items():
            try:
                found = self._at(place).call(Reads(its), deadline, recognisable=True)
            except StoreUnavailable:
                found = [self.call(command, deadline, recognisable=True) for command in its]
            replies.update(zip(its, found, strict=True))
        return [replies[command] for command in commands]

    def _ask_any(self, command: Command, deadline: float) -> Any:
        """The reply of whichever node answers first, those that were named first."""
        places = dict.fromkeys([*self._hosts.places, *self._table])
        failure = StoreUnavailable("no node of the Redis Cluster answers", applied=False)
        for place in (place for place in places if place):
            try:
                return self._at(place).call(command, deadline)
            except NotPermitted:
                raise
            except StoreUnavailable as error:
                failure = error
        raise failure


def _table_of(ranges: Iterable[Any], asked: str) -> list[Place | None]:
    """The node of each slot by the reply to ``CLUSTER SLOTS``; a node that does not know how it is
    reached is where it was *asked*."""
    table: list[Place | None] = [None] * SLOTS
    for first, last, master, *_replicas in ranges:
        place = (_host(bytes(master[0] or b"").decode(), asked), int(master[1]))
        table[first : last + 1] = [place] * (last + 1 - first)
    return table


def _host(named: str, asked: str) -> str:
    """That which a node has *named*, or where it was *asked*, if it does not know its own."""
    return asked if named in ("", "?") else named
