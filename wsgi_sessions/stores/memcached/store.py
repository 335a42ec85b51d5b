"""Sessions in Memcached, over pymemcache.

How this works, and the rules for maintainers:

* Under a key there is a mark, eight random bytes that name the save, and the data. These random
  bytes are the version: no two saves share them, and after a lost reply they say whether the save
  happened.
* Only ``add`` and ``cas`` write: a ``set`` that fails deletes what was stored, these leave it.
* ``cas`` compares the server's CAS token, and that is not enough: ``add`` and ``cas`` do not return
  the token of what they stored, and a restarted server counts from 1 again. So a token is trusted
  only over a connection older than the request that fetched it; that connection would have ended
  with the server. Otherwise, seldom, a ``gets`` on the connection of the ``cas`` compares the
  random bytes first, and brings the token of today.
* ``load`` and ``delete`` are sent once more if the connection turned out to be closed. A save is
  not: it reads back and looks for its random bytes.
* Expiry is sent in seconds from now, so that the hosts' clocks need not agree, plus two: the server
  has whole seconds, and its tick, a little more than a second after the last, occasionally leaves
  one out. Beyond 30 days Memcached takes only a date. Nothing expires early; it may expire up to
  three seconds late.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from ssl import CERT_REQUIRED, SSLContext, create_default_context
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from wsgi_sessions.errors import ConfigurationError, SessionTooLarge, StoreUnavailable
from wsgi_sessions.stores.base import Route, Stored, system_clock
from wsgi_sessions.stores.memcached.client import failures, refusal, report
from wsgi_sessions.stores.memcached.connections import Command, Server
from wsgi_sessions.stores.memcached.servers import servers_at, servers_of
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts
from wsgi_sessions.stores.url_options import NUMBER, TEXT, take_options

if TYPE_CHECKING:
    from pymemcache import (  # type: ignore[import-untyped]
        Client,
        HashClient,
        PooledClient,
    )

__all__ = ["MemcachedStore"]

Addresses = str | tuple[str, int] | Sequence[str | tuple[str, int]]
"""One server or several: ``"host:port"``, ``"host:port,host:port"``, pairs, paths of sockets."""

MARK = b"wss1"
HEADER = len(MARK) + 8  # the mark, the name of the save

ITEM_OVERHEAD = 512
"""More than the server's own header (up to 309 bytes) and ours, which count as well."""
MAX_BYTES = 2**20 - ITEM_OVERHEAD
MAX_KEY = 250
LONGEST_KEY = 64  # stores.base

MONTH = 30 * 86400
"""Memcached takes a larger number of seconds for a date."""
TICK_SLACK_SECONDS = 2
"""By which the server's clock may advance too much before a record expires."""
LAST_DATE = 2**31 - 1
"""Memcached 1.6 keeps 32 bits of a date: a later one would be long ago."""


class MemcachedStore:
    """Keeps records in one Memcached server, or spread over several.

    *servers_or_client* is ``"host:port"`` or ``"/path/to/socket"``, several of these in a list or
    separated by commas, or a ``Client``, ``PooledClient`` or ``HashClient`` of pymemcache. Every
    process must be given the same servers, spelt alike, in any order. While one of them is down,
    its sessions raise :exc:`~wsgi_sessions.StoreUnavailable`, and the others go on.

    *timeouts* are by default 250 ms to connect and 500 ms to answer. An operation ends after twice
    the time for an answer, 1 second, whatever happens, its second attempt included, looking up the
    host's name not counted.

    A client handed in keeps its own timeouts (pymemcache's default is to wait forever), is always
    asked for replies, and stays open at :meth:`close`. A plain ``Client`` serves one thread at a
    time. One that ignores errors or changes bytes is refused:
    :exc:`~wsgi_sessions.ConfigurationError`. Since it reconnects by itself, a version from before a
    restart of the server may match a record made anew under the same key; this library never uses
    a key twice.

    *tls_context*, as :func:`ssl.create_default_context` makes it, is for servers that speak TLS; a
    client that is handed in has its own.

    *prefix* goes before every key. *max_bytes* is the size of the largest record; for servers
    started with ``-I`` it can be that limit less 512.

    Memcached may drop a record at any time to make room, and drops all of them at a restart.
    """

    evicts = True
    """Records may be dropped before they expire: nothing but sessions may be kept in this store."""

    item_overhead = ITEM_OVERHEAD
    """Bytes of a server's item that are not data."""

    def __init__(
        self,
        servers_or_client: Addresses | Client | PooledClient | HashClient = "127.0.0.1:11211",
        *,
        prefix: str = "session:",
        max_bytes: int = MAX_BYTES,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        tls_context: SSLContext | None = None,
    ) -> None:
        given: Any = servers_or_client
        self._total = 2 * check_timeouts(timeouts).answer
        known_by_address = isinstance(given, (str, list, tuple))
        if tls_context is not None and not known_by_address:
            raise ConfigurationError(
                "tls_context is for addresses: give it to the pymemcache client that is handed in"
            )
        self._tls_context = tls_context
        self._servers = (
            servers_at(given, timeouts, tls_context) if known_by_address else servers_of(given)
        )
        room = MAX_KEY - LONGEST_KEY - self._servers.longest_prefix
        if not re.fullmatch(r"[!-~]*", prefix) or len(prefix) > room:
            raise ConfigurationError(
                f"prefix has to be printable ASCII without spaces, at most {room} characters"
            )
        self._prefix = prefix
        self.max_bytes = max_bytes

    @classmethod
    def from_url(cls, url: str) -> MemcachedStore:
        """``memcached://host:port,host:port/?prefix=…&max_bytes=…``, the same over TLS with
        ``memcacheds://``, or ``memcached:///path/to/socket?prefix=…``. No port is 11211, no host is
        this one. More options are ``connect_timeout`` and ``answer_timeout``, and with TLS
        ``ca_file``, the path of the certificates to trust instead of the system's."""
        kinds = {"prefix": TEXT, "max_bytes": NUMBER}
        encrypted = url.partition("://")[0].lower() == "memcacheds"
        address, options = take_options(url, kinds | ({"ca_file": TEXT} if encrypted else {}))
        servers, separator, _ = address.partition("://")[2].partition("?")
        if separator:
            raise ConfigurationError(
                "memcached:// takes the options prefix, max_bytes, connect_timeout and "
                "answer_timeout, memcacheds:// also ca_file, and no others"
            )
        if encrypted:
            options["tls_context"] = _tls_context(options.pop("ca_file", None))
        if not servers.startswith("/") or servers == "/":
            servers = servers.removesuffix("/") or "127.0.0.1"
            if "/" in servers or "@" in servers:
                raise ConfigurationError(
                    "memcached:// takes servers, or the path of a socket after a third slash: "
                    "memcached://host:port,host:port/?prefix=…, memcached:///run/memcached.sock"
                )
        return cls(unquote(servers), **options)

    def load(self, key: str) -> Stored | None:
        """One ``gets``."""
        name = self._prefix + key
        found: Stored | None = self._run(name, lambda client: _read(client, name))
        return found

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """One ``add`` or ``cas``. A ``gets`` before the ``cas`` if the version came from a save, or
        if the connection is newer than it; a ``gets`` after a lost reply."""
        if len(data) > self.max_bytes:
            raise SessionTooLarge(len(data), self.max_bytes)
        if replacing is not None and not isinstance(replacing, _Version):
            return None
        name, exptime, version = self._prefix + key, _exptime(expires_at), _Version(os.urandom(8))
        value = b"".join((MARK, version.save, data))

        def write(client: Any) -> object:
            if replacing is None:
                return client.add(name, value, expire=exptime, noreply=False)
            token = _token(client, name, replacing)
            return token and client.cas(name, value, token, expire=exptime, noreply=False)

        server, deadline = self._servers.of(name), monotonic() + self._total
        try:
            return version if server.run(write, deadline, open_only=True) else None
        except failures() as error:
            if refusal(error) == "object too large for cache":  # a server with a lower limit
                raise SessionTooLarge(len(data), min(self.max_bytes, len(data) - 1)) from None
            if not refusal(error):
                found = _read_back(server, name, deadline)
                if found is not None and found.version == version:
                    return found.version
            report(server.label, error)

    def delete(self, key: str) -> None:
        """One ``delete``."""
        name = self._prefix + key
        self._run(name, lambda client: client.delete(name, noreply=False))

    def place_of(self, key: str) -> str:
        """The address of the server that holds *key*. No I/O."""
        return self._servers.of(self._prefix + key).label

    def servers(self) -> list[str]:
        """The addresses of all servers, as they are written."""
        return self._servers.labels()

    def stats(self, server: str, *arguments: str) -> dict[bytes, Any]:
        """What *server*, one of :meth:`servers`, answers to ``stats``, for operators. One round
        trip. Raises :exc:`~wsgi_sessions.StoreUnavailable`."""
        asked, deadline = self._servers.labelled(server), monotonic() + self._total
        try:
            answer: dict[bytes, Any] = asked.run(lambda client: client.stats(*arguments), deadline)
        except failures() as error:
            report(server, error)
        return answer

    def route(self) -> Route:
        """How the servers that are named by address are reached: without a password. No I/O."""
        hosts = tuple(server.rpartition(":")[0] for server in self.servers())
        context = self._tls_context
        verified = context is not None and context.verify_mode is CERT_REQUIRED
        return Route(hosts, encrypted=context is not None, verified=verified, password=False)

    def close(self) -> None:
        """Close the connections that are not in use. Used again, the store opens new ones."""
        self._servers.close()

    def _run(self, name: str, command: Command) -> Any:
        try:
            return self._servers.run(name, command, monotonic() + self._total)
        except failures() as error:
            report(self._servers.of(name).label, error)


@dataclass(frozen=True, slots=True)
class _Version:
    """The random bytes that name a save; and if they came with a ``gets``, the CAS token of then,
    and when it was asked for."""

    save: bytes
    token: bytes | None = field(default=None, compare=False)
    asked_at: float = field(default=0.0, compare=False)


def _read(client: Any, name: str) -> Stored | None:
    asked_at = monotonic()
    value, token = client.gets(name)
    if value is None or len(value) < HEADER or not value.startswith(MARK):
        return None
    if token == b"0":
        raise StoreUnavailable("memcached was started with -C, without which it cannot compare")
    return Stored(value[HEADER:], _Version(value[len(MARK) : HEADER], token, asked_at))


def _read_back(server: Server, name: str, deadline: float) -> Stored | None:
    server.close_idle()
    try:
        found: Stored | None = server.run(lambda client: _read(client, name), deadline)
    except failures():
        return None
    return found


def _token(client: Any, name: str, version: _Version) -> bytes | None:
    """The CAS token that *version* has on the connection of *client*; ``None`` if another record,
    or none, is stored."""
    # 0 for a client that was handed in.
    connected_at = getattr(getattr(client, "sock", None), "connected_at", 0.0)
    if version.token is not None and connected_at < version.asked_at:
        return version.token
    found = _read(client, name)
    if found is None or found.version != version:
        return None
    assert isinstance(found.version, _Version)
    return found.version.token


def _tls_context(ca_file: str | None) -> SSLContext:
    """One that verifies the servers. Reads *ca_file*."""
    try:
        return create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(f"memcacheds:// ca_file {ca_file!r}: {error}") from None


def _exptime(expires_at: float) -> int:
    """What Memcached calls so: -1 expires at once, 0 never."""
    left = expires_at - system_clock()
    if left <= 0:
        return -1
    if left <= MONTH - TICK_SLACK_SECONDS:
        return math.ceil(left) + TICK_SLACK_SECONDS
    return (
        math.ceil(expires_at) + TICK_SLACK_SECONDS
        if expires_at <= LAST_DATE - TICK_SLACK_SECONDS
        else 0
    )
