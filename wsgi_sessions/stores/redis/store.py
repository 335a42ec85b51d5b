"""Sessions in Redis or Valkey."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.base import Route, Stored
from wsgi_sessions.stores.redis import watched
from wsgi_sessions.stores.redis.client import Client, Server
from wsgi_sessions.stores.redis.cluster import ClusterConnections
from wsgi_sessions.stores.redis.connections import Connections
from wsgi_sessions.stores.redis.large import (
    LARGE_BYTES,
    REPLACE_LARGE,
    SAVE_OWNED_LARGE,
    LargeWrites,
)
from wsgi_sessions.stores.redis.owners import Entry, OwnerLists
from wsgi_sessions.stores.redis.replies import CrossSlot, WrongType
from wsgi_sessions.stores.redis.scripts import REPLACE, SAVE_OWNED, Scripts
from wsgi_sessions.stores.redis.several import SentinelConnections, is_cluster, is_sentinel
from wsgi_sessions.stores.redis.url import route_of
from wsgi_sessions.stores.redis.watched import Command
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts
from wsgi_sessions.stores.url_options import NUMBER, TEXT, take_options

if TYPE_CHECKING:
    from redis import Redis
    from redis.cluster import RedisCluster
    from valkey import Valkey
    from valkey.cluster import ValkeyCluster

__all__ = ["RedisStore"]

VERSION_BYTES = 8
"""Random, so that two saves of one key agree by chance once in 1.8e19 times."""

FAR_SECONDS = 1e11
"""3,000 years: Redis refuses times whose milliseconds do not fit into 63 bits."""

_CHANGES_CONNECTION = {
    *("AUTH", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE", "PSYNC", "READONLY", "RESET", "SELECT"),
    *("SSUBSCRIBE", "SUBSCRIBE", "SYNC", "WATCH", "CLIENT REPLY"),
}
"""Commands after which others, over the same connection, are answered otherwise."""

_new_tuple = tuple.__new__  # Stored(…) takes twice as many instructions
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_.:-]*(\{[A-Za-z0-9_.:-]+\}[A-Za-z0-9_.:-]*)?")


class RedisStore:
    """Keeps records in Redis (6.0 or newer) or Valkey: one server, Sentinel or Cluster.

    *client_or_url* is a URL (``redis://``, ``rediss://`` for TLS, ``unix://``, ``valkey://``;
    ``None`` is ``redis://localhost:6379``; ``redis+sentinel://host,host/master-name`` with the
    master's password and ``?sentinel_password=``, ``redis+cluster://host,host``, and with
    ``rediss+…`` over TLS) or a client: :class:`redis.Redis`, what a Sentinel's
    ``master_for`` returns, :class:`redis.cluster.RedisCluster`, or theirs of the ``valkey``
    package. A URL is the fastest way, on connections of the store's own, with *timeouts*: by
    default 250 ms to connect and 500 ms to answer. An operation ends after twice the time for an
    answer, 1 second, whatever happens, looking up the host's name not counted. (In the URL
    ``connect_timeout`` and ``answer_timeout``, or redis-py's ``socket_connect_timeout`` and
    ``socket_timeout``.) A client is used as it is, with its own timeouts and retries; redis-py's
    defaults, 5 seconds and 10 retries, are long for a web request, and its pool can deadlock in a
    child that is forked while other threads use it (a URL's connections cannot; but over TLS,
    OpenSSL can, if other threads connect in that moment).

    Each operation is one command on one key and one round trip. A record is a string key, its
    value a random version of 8 bytes and the data, its expiry Redis's own. What is sent is the
    time that is left by this host's clock: the server's clock does not matter, and a record may
    outlive its time by as long as the command takes to arrive.

    *prefix* stands before every key, ``prefix + "owner:"`` before the list of an owner's keys. A
    user of the server who can do nothing else::

        ACL SETUSER sessions on >PASSWORD resetkeys ~session:* -@all +get +set +getrange +exists
            +del +pexpire +pttl +rename +eval +evalsha +zadd +zrem +zrangebyscore
            +zscore +scan +select +wait

    A record of 4 KB or more that replaces another is written under a second name, the prefix, then
    ``{KEY}:VERSION`` with the key's full name in the braces, and renamed by a script in the same
    packet, so that it does not keep the server busy; the second name lives for 10 seconds at most.
    Without ``+rename`` the script writes it, as it does smaller ones.

    Where scripts are not permitted (``+eval +evalsha``, as on some managed plans), the store
    notices it before it gives out a session, and compares and sets by ``WATCH`` and ``MULTI`` in
    two round trips; that takes ``+watch +multi +exec +discard +unwatch`` instead. The list of an
    owner then lives for 400 days after the last login.

    (``scan`` is for listing only, ``select`` for a database other than 0, ``wait`` for
    *wait_replicas*; in a cluster ``+cluster`` is needed as well, and by a client ``+command``.)

    **What a failover can lose.** Redis replicates asynchronously: when a replica takes over, the
    writes of the last moment may be gone. A session that was ended or regenerated in that moment
    is back, under its old cookie. With ``wait_replicas=n`` saves and deletions wait, in the same
    round trip and for at most half the time for an answer (250 ms), until *n* replicas have them,
    and raise :exc:`~wsgi_sessions.StoreUnavailable` otherwise, although the write was
    done at the server that was asked. This makes the loss unlikely, not impossible: a replica
    that has not acknowledged may be the one that takes over. Reads go on where no replica is left.

    **Of a cluster** each node is a place of its own: one that hangs or is dead costs the sessions
    that it holds and no others, and a new session is put on another. By URL the store keeps
    connections to each, and asks for the table of slots once a second at most. A proxy that spreads
    keys over several servers and is no cluster, as Twemproxy does, is fit for sessions and not for
    the lists of owners: it sends a script to the server of its first key, so that ``sessions_of``
    and ``revoke_all`` miss sessions there. Put one server behind it, or take a cluster.

    **A client that was handed in** lends its connections: the store sends and reads over them
    itself, which takes two thirds of the instructions of ``execute_command`` and closes what a
    signal handler has broken off. What fails goes once more through ``execute_command``, with the
    client's own retries, and so does everything where that was replaced, by tracing or a subclass.

    Give Redis ``maxmemory-policy noeviction`` (a full server refuses new sessions, loudly) or
    ``volatile-ttl`` (it drops those that expire next, silently).

    Raises :exc:`~wsgi_sessions.ConfigurationError` for a client that cannot work: one for
    asyncio, one with ``decode_responses=True``, one that reads from replicas.
    """

    def __init__(
        self,
        client_or_url: Redis | RedisCluster | Valkey | ValkeyCluster | str | None = None,
        *,
        prefix: str = "session:",
        wait_replicas: int = 0,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"prefix {prefix!r} is not 1 to 64 of A-Z a-z 0-9 _ . : - with one {{tag}} at most"
            )
        if client_or_url is None:
            client_or_url = "redis://localhost:6379"
        way: Any = _way_to(client_or_url)
        self._server: Server = way(
            client_or_url, wait_replicas=wait_replicas, timeouts=check_timeouts(timeouts)
        )
        self._prefix = prefix
        node_of = self._server.place_of
        self.place_of: Callable[[str], str] | None = node_of and (lambda key: node_of(prefix + key))
        """Of a cluster: the node that holds a key, as far as is known."""
        self._scripts = Scripts(self._server)
        self._large = LargeWrites(self._server, self._scripts, prefix)
        self._lists = OwnerLists(self._server, self._scripts, prefix)
        self._can_replace = False
        """Whether it was asked, before this process has given out a session."""
        self._url = client_or_url if isinstance(client_or_url, str) else ""

    @classmethod
    def from_url(cls, url: str) -> RedisStore:
        """The store for *url*, with ``prefix``, ``wait_replicas``, ``connect_timeout`` and
        ``answer_timeout`` in its query string."""
        address, options = take_options(url, {"prefix": TEXT, "wait_replicas": NUMBER})
        return cls(address, **options)

    def load(self, key: str) -> Stored | None:
        """One ``GET``."""
        try:
            value = self._server.call(("GET", self._prefix + key))
        except WrongType:
            return None
        if value is None or len(value) < VERSION_BYTES:
            return None
        if type(value) is memoryview:  # a large one is copied once
            return Stored(bytes(value[VERSION_BYTES:]), bytes(value[:VERSION_BYTES]))
        return _new_tuple(Stored, (value[VERSION_BYTES:], value[:VERSION_BYTES]))

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """One ``SET … NX`` to create, one ``EVALSHA`` to replace; the first time that a process
        creates, one ``EVALSHA`` before.

        A save whose reply was lost is sent once more and recognises its own work. If the server
        has accepted something else since, nobody can know: ``StoreUnavailable`` (a client that was
        handed in, and has methods of its own that repeat commands, says refused then).
        """
        deadline = self._server.deadline()
        name, version = self._prefix + key, os.urandom(VERSION_BYTES)
        value, left = (version, data), _milliseconds_until(expires_at)
        if replacing is not None:
            accepted = self._replace((name, replacing, value, left), deadline)
        elif left:
            if not self._can_replace:
                self._find_way(name, deadline)
            command = ("SET", name, value, "NX", "PX", left)
            reply = self._server.call(command, deadline, replicated=True, recognisable=True)
            accepted = reply is not None or self._is_own(name, version, deadline)
        else:
            accepted = not self._server.call(("EXISTS", name), deadline)
        return version if accepted else None

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,
    ) -> Hashable | None:
        """The same, and the record is listed under *owner*, no longer under *was*: one ``EVALSHA``
        that does all or nothing. In a cluster the lists are in other slots, so *owner*'s list comes
        first, then the record, then *was*'s list, in up to three commands; a crash between them
        leaves an entry too many. Where the list's node is dead, a spare list on another has it. An
        entry lives for the time until the next renewal, a tenth of what is left or a day, and a
        minute longer than the record."""
        left = _milliseconds_until(expires_at)
        if not left:
            owner, was = None, owner if was is None else was
            if replacing is None:
                return self.save(key, data, expires_at=expires_at, replacing=None)
        entry = Entry.of(left, keeps_place=owner == was and replacing is not None)
        former = None if was == owner else was
        if not self._server.is_cluster:
            with contextlib.suppress(CrossSlot):
                return self._save_at_once(key, data, left, replacing, (owner, former), entry)
        added = owner is not None and self._lists.put(owner, key, entry)
        version = self.save(key, data, expires_at=expires_at, replacing=replacing)
        ghost = former if version is not None else owner if added else None
        if ghost is not None:
            self._lists.take_off(ghost, key)
        return version

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. One
        ``ZRANGEBYSCORE``, then one ``EXISTS`` for each, all in one round trip, of a cluster in one
        for each node; another takes off the list what has no record, unless it was listed within
        the last minute."""
        return self._lists.keys_of(owner)

    def delete(self, key: str) -> None:
        """One ``DEL``."""
        self._server.call(("DEL", self._prefix + key), replicated=True)

    def keys(self) -> Iterator[str]:
        """``SCAN`` over all keys of the server, or of all servers of a cluster. A record that
        exists all the time is named at least once."""
        for name in self._server.scan(f"{self._prefix}*"):
            key = name.decode("utf-8", "replace").removeprefix(self._prefix)
            if _KEY.fullmatch(key):
                yield key

    def ask(self, *command: str) -> Any:
        """The server's reply to any command, for operators: bytes, numbers and lists of these; or
        what a client that was handed in makes of it. Of a cluster one node is asked. One round
        trip. Raises :exc:`~wsgi_sessions.StoreUnavailable`, for a refusal too, and ``ValueError``
        for a command that changes its connection (``SELECT``, ``MULTI``, ``SUBSCRIBE``): visitors'
        sessions are asked for over the same."""
        name = " ".join(command[:2]).upper()
        if name in _CHANGES_CONNECTION or command[0].upper() in _CHANGES_CONNECTION:
            raise ValueError(f"{name} changes its connection: send it over a client of your own")
        reply = self._server.call(command)
        return bytes(reply) if isinstance(reply, memoryview) else reply

    def renames(self, key: str) -> bool:
        """Whether the server takes large records the fast way, tried with a record under *key*,
        which is removed again. Four round trips."""
        end = time.time() + 60
        try:
            created = self.save(key, b"", expires_at=end, replacing=None)
            self.save(key, bytes(LARGE_BYTES), expires_at=end, replacing=created)
        finally:
            self.delete(key)
        return self._large.renames

    def route(self) -> Route | None:
        """How the server is reached; ``None`` for a client that was handed in. No I/O."""
        return route_of(self._url) if self._url else None

    def is_cluster(self) -> bool:
        """Whether the URL names a Redis Cluster. No I/O."""
        return is_cluster(self._url)

    def close(self) -> None:
        """Close the store's own idle connections. It can be used again, and opens new ones."""
        self._server.close()

    def _find_way(self, name: str, deadline: float) -> None:
        """Whether what is stored could ever be replaced, and how, by a save that is refused: a user
        without the right to it shall be given no session."""
        refused = (name, b"\0", (b"\1", b""), 1)
        try:
            self._scripts.run(REPLACE, refused, deadline)
            if not self._scripts.permitted:
                self._scripts.transact(watched.probe(name), deadline)
        except StoreUnavailable as error:
            error.applied = False  # nothing was saved
            if not isinstance(error, WrongType):  # then the key is what cannot be used
                raise
        self._can_replace = True

    def _is_own(self, name: str, version: bytes, deadline: float) -> bool:
        """Whether what is stored is a creation that was refused. New ids are random: it is most
        likely this very save, sent again."""
        try:
            there = self._server.call(("GETRANGE", name, 0, VERSION_BYTES - 1), deadline)
        except WrongType:
            return False
        except StoreUnavailable as error:
            error.applied = None
            raise
        return bool(there == version)

    def _is_record(self, name: str, deadline: float) -> bool:
        """Whether *name* is a string, or nothing."""
        try:
            self._server.call(("GETRANGE", name, 0, 0), deadline)
        except WrongType:
            return False
        return True

    def _replace(self, arguments: Command, deadline: float) -> bool:
        try:
            if arguments[3] and len(arguments[2][1]) >= LARGE_BYTES:
                return bool(self._large.run(REPLACE_LARGE, REPLACE, arguments, deadline))
            return bool(self._scripts.run(REPLACE, arguments, deadline, is_save=True))
        except WrongType:
            return False

    def _save_at_once(
        self,
        key: str,
        data: bytes,
        left: int,
        replacing: Hashable | None,
        owners: tuple[str | None, str | None],
        entry: Entry,
    ) -> bytes | None:
        """Record and lists, of the owner and of the former one, in one script."""
        name, version = self._prefix + key, os.urandom(VERSION_BYTES)
        lists = [name if owner is None else self._lists.name_of(owner) for owner in owners]
        arguments = (name, *lists, replacing or b"", (version, data), left, key, *entry)
        deadline = self._server.deadline()
        try:
            if left and len(data) >= LARGE_BYTES:
                done = self._large.run(SAVE_OWNED_LARGE, SAVE_OWNED, arguments, deadline)
            else:
                done = self._scripts.run(SAVE_OWNED, arguments, deadline, is_save=True)
        except WrongType:
            if self._is_record(name, deadline):
                raise  # then it is a list
            return None
        return version if done else None


def _way_to(client_or_url: object) -> Callable[..., Server]:
    if not isinstance(client_or_url, str):
        return Client
    if is_sentinel(client_or_url):
        return SentinelConnections
    return ClusterConnections if is_cluster(client_or_url) else Connections


def _milliseconds_until(expires_at: float) -> int:
    """How long from now, rounded up; 0 if that time is not in the future."""
    left = expires_at - time.time()
    if left > FAR_SECONDS:
        left = FAR_SECONDS
    return math.ceil(left * 1000) if left > 0 else 0
