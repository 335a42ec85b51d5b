"""Exchanges over connections that are borrowed from the pool of a client that was handed in.

How this works. ``execute_command`` of redis-py takes 140 k instructions, most of them for retries
and metrics; the same exchange over one of its pool's connections takes 82 k. And where something
is raised between a command and its reply (a signal handler that raises, a greenlet's timeout), it
puts the connection back with that reply still to come: from then on each command over it gets the
answer to the one before. So the store takes a connection out of the client's own pool, by the
pool's public methods, sends and reads itself, and gives it back.

Rules for maintainers:

* Whatever is raised before the reply was read closes the connection.
* Only for a client whose class is the package's own and whose ``execute_command`` is the original.
  Tracing replaces it, and has to see the commands.
* What failed goes once more through ``execute_command``, so that the client's retries, its backoff
  and what it does about a failover are kept. Not if it has no retries.
* What was broken off within the pool's own methods has left its books in a state that nobody
  knows: a connection that it believes to be in use, perhaps a lock that nobody holds. ``reset()``
  starts them over, as the pool itself does after a fork.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from os import getpid
from time import monotonic, sleep
from types import FunctionType
from typing import Any

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.redis.packets import Wait, talk
from wsgi_sessions.stores.redis.replies import exhausted
from wsgi_sessions.stores.redis.watched import Command
from wsgi_sessions.stores.redis.wire import packed

__all__ = ["AGAIN", "NOT_LENT", "Lender", "lender_of", "start_over"]

AGAIN = object()
"""What an exchange returns whose reply was lost: it has to go through the client's own methods."""
NOT_LENT = object()
"""Nothing was done: it has to go through the client's own methods."""

_KINDS = {
    "redis": ("Redis", "RedisCluster"),
    "valkey": ("Valkey", "ValkeyCluster"),
}
_TAKING = {"redis": (), "valkey": ("GET",)}
"""What ``get_connection`` of the package's pools is called with."""
_TICK_SECONDS = 0.005
_FINAL = {"NoScriptError", "NoPermissionError", "MaxConnectionsError"}
"""What a second attempt does not change."""


class Lender:
    """The connections of *client*, of whose class :func:`lender_of` has found *original*."""

    def __init__(self, client: Any, package: str, original: object, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._class = type(client)
        self._original = original
        self._taking = _TAKING[package]
        self._plain: Any = None
        """A pool that has no cache, the last that was found."""
        self._client_of = getattr(client, f"get_{package}_connection", None)
        connections = sys.modules[f"{package}.connection"]
        self._pools = connections.ConnectionPool
        self._waiting_pools = connections.BlockingConnectionPool
        errors = sys.modules[f"{package}.exceptions"]
        self._failure: type[Exception] = getattr(errors, f"{package.capitalize()}Error")
        self._refusals: tuple[type[Exception], ...] = (errors.ResponseError, StoreUnavailable)

    def pool_for(self, name: str | bytes | None) -> Any:
        """The pool of the server that has the key *name*; ``None`` where the command has to go
        through the client's own methods. No I/O."""
        client = self._client
        replaced = self._class.execute_command is not self._original
        if replaced or "execute_command" in client.__dict__:
            return None
        if self._client_of is not None:
            if name is None:
                return None
            try:
                client = self._client_of(client.get_node_from_key(name))
            except self._failure:  # the slot belongs to nobody, as far as is known
                return None
        if client.connection is not None:
            return None
        pool = client.connection_pool
        if pool is not self._plain:
            if not isinstance(pool, self._pools) or _has_cache(pool):
                return None
            self._plain = pool
        return pool

    def exchange(self, pool: Any, command: Command, wait: Wait | None) -> Any:
        """The reply to *command* over a connection of *pool*, or :data:`AGAIN`, or
        :data:`NOT_LENT` if the server has refused it. With *wait* as :func:`~.packets.talk` has
        it."""
        if type(pool) is not self._pools and isinstance(pool, self._waiting_pools):
            self._wait_for(pool)
        connection, line, ended = None, None, False
        try:
            connection = pool.get_connection(*self._taking)
            if wait is None:
                connection.send_packed_command((packed(command),))
                reply = connection.read_response(disable_decoding=True)
            else:
                line = _Line(connection, self._refusals[0])
                reply = talk(line, command, wait)
            ended = True
            pool.release(connection)
        except BaseException as error:
            if connection is None or ended:
                if not isinstance(error, self._failure):
                    _start_over(pool)
                raise
            if not isinstance(error, self._refusals) or (line is not None and line.spent):
                connection.disconnect()
            pool.release(connection)
            if self._goes_again(error, connection):
                return NOT_LENT if isinstance(error, self._refusals) else AGAIN
            raise
        return reply

    def _wait_for(self, pool: Any) -> None:
        """Until a connection is free. The pool itself waits for 20 seconds by default, which a
        thread that holds the last one would wait for itself."""
        until = monotonic() + self._patience
        while pool.pid == getpid() and pool.pool.empty():
            if monotonic() >= until:
                raise exhausted()
            sleep(_TICK_SECONDS)

    def _goes_again(self, error: BaseException, connection: Any) -> bool:
        if not isinstance(error, self._failure) or type(error).__name__ in _FINAL:
            return False
        retries: Callable[[], int] | None = getattr(connection.retry, "get_retries", None)
        refused = isinstance(error, self._refusals)
        return refused or retries is None or retries() != 0


class _Line:
    """A connection of the package's, as :func:`~.packets.talk` has it."""

    def __init__(self, connection: Any, refusal: type[Exception]) -> None:
        self._connection = connection
        self._refusal = refusal
        self.spent = False

    def ask(self, *parts: bytes) -> Any:
        self._connection.send_packed_command((b"".join(parts),))
        return self.read()

    def read(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except self._refusal as error:
            return error


def lender_of(client: Any, patience: float) -> Lender | None:
    """The lender of *client*; ``None`` if it is not of the package's own class, or if that has been
    changed. Where a pool waits for a connection that is free, it does so for *patience* seconds."""
    kind = type(client)
    package = kind.__module__.partition(".")[0]
    if kind.__qualname__ not in _KINDS.get(package, ()):
        return None
    home, original = vars(sys.modules[kind.__module__]), kind.execute_command
    own = home.get(kind.__qualname__) is kind
    untouched = type(original) is FunctionType and original.__globals__ is home
    return Lender(client, package, original, patience) if own and untouched else None


def start_over(client: Any) -> None:
    """Close the idle connections of *client*'s pools and have them start over: a method of the
    client was broken off, and may have put a connection back with a reply still to come."""
    if hasattr(client, "get_nodes"):
        for node in client.get_nodes():
            start_over(getattr(node, "redis_connection", getattr(node, "valkey_connection", None)))
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        _start_over(pool)


def _start_over(pool: Any) -> None:
    with suppress(Exception):  # a pool of the application's own may have other methods
        pool.disconnect(inuse_connections=False)
        pool.reset()


def _has_cache(pool: Any) -> bool:
    """Whether replies may come from a cache of the client's: redis-py's, or valkey-py's."""
    cache = getattr(pool, "cache", None)
    return cache is not None or bool(pool.connection_kwargs.get("cache_enabled"))
