"""The connections to one Memcached server, of the store's own or of a client that was handed in.

Rules for maintainers:

* A connection serves one caller at a time. Any exception, ``BaseException`` too (a gevent timeout,
  ``KeyboardInterrupt``), closes it: a reply may still arrive over it.
* Connections belong to a process, by its pid (uWSGI forks without Python's hooks).
* An operation ends by its deadline, however slowly the bytes come in.
* A balancer or a firewall forgets connections without a word. So one that was idle for longer than
  30 s is not used, and one that gives no answer costs all that are idle.
"""

from __future__ import annotations

import os
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from ssl import SSLContext, SSLWantReadError
from threading import Lock, RLock
from time import monotonic
from typing import Any

from wsgi_sessions.stores.forks import PerProcess
from wsgi_sessions.stores.memcached.client import closed, pymemcache
from wsgi_sessions.stores.memcached.own import CHUNK, OwnClient
from wsgi_sessions.stores.timeouts import IDLE_SECONDS, Timeouts

MAX_IDLE = 64
"""Connections kept for each server, which by default accepts 1024 from all processes together."""


Address = str | tuple[str, int]
Command = Callable[[Any], Any]


def label(address: Address) -> str:
    """An address as it is written."""
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


class Server(ABC):
    """Runs commands on one server."""

    def __init__(self, label: str, key_prefix: bytes = b"") -> None:
        self.label: str = label
        self.key_prefix: bytes = key_prefix
        self._process = os.getpid()
        self._renewing = PerProcess(Lock)

    def run(
        self, command: Command, deadline: float, *, open_only: bool = False, again: bool = False
    ) -> Any:
        """What *command* returns for a client with a connection. With *open_only* none is used that
        can be seen to have been closed by the server; that costs a system call. With *again* the
        command is sent once more, over a new connection, if it turns out to be closed, or if one
        that was kept does not answer."""
        if self._process != os.getpid():
            self._leave_to_parent()
        client, ended, kept = None, False, False
        try:
            client = self._acquire(deadline, open_only)
            kept = self._was_kept(client)
            result = command(client)
            ended = True
            self._release(client)
        except BaseException as error:
            if client is None or ended:
                if not isinstance(error, RuntimeError):  # all of a pool are in use
                    self._start_over()
                raise
            self._discard(client)
            was_closed = isinstance(error, closed())
            if not (was_closed or isinstance(error, TimeoutError)):
                raise
            self.close_idle()  # the others are likely to be dead as well
            if not (again and (was_closed or kept)):
                raise
        else:
            return result
        return self.run(command, deadline)

    def _was_kept(self, client: Any) -> bool:
        """Whether its connection has served before."""
        return getattr(client, "sock", client) is not None

    def _leave_to_parent(self) -> None:
        with self._renewing.get():
            if self._process != os.getpid():
                self._forget()
                self._process = os.getpid()

    def _forget(self) -> None:
        """Use no connection that was inherited."""
        self.close_idle()

    def _start_over(self) -> None:  # noqa: B027 - most have nothing to put in order
        """Something was raised while a connection was acquired or released, by a signal handler
        perhaps: put in order what was left in the middle."""

    @abstractmethod
    def close_idle(self) -> None:
        """Close the connections that are not in use."""

    @abstractmethod
    def _acquire(self, deadline: float, open_only: bool) -> Any: ...

    @abstractmethod
    def _release(self, client: Any) -> None: ...

    @abstractmethod
    def _discard(self, client: Any) -> None: ...


class OwnServer(Server):
    """The server at an address. There is no lock: what is done to the list is atomic."""

    def __init__(
        self, address: Address, timeouts: Timeouts, tls_context: SSLContext | None = None
    ) -> None:
        super().__init__(label(address))
        self._address, self._timeouts = address, timeouts
        self._tls_context = tls_context
        self._new_client = pymemcache("client.base").Client
        self._idle: list[Any] = []
        # A deadline is as long as two answers from now.
        self._idle_limit = IDLE_SECONDS + 2 * timeouts.answer

    def _acquire(self, deadline: float, open_only: bool) -> Any:
        while True:
            try:
                client = self._idle.pop()
            except IndexError:
                # Left to itself, it tries one address only, and each byte may take its timeout.
                connection = self._connected(deadline)
                return OwnClient(self._new_client(self._address), connection)
            if deadline - self._idle_limit > client.sock.sent_at:
                client.close()
                self.close_idle()  # they have been idle longer still
            elif not open_only or client.sock.is_open():
                client.sock.deadline = deadline
                return client
            else:
                client.close()

    def _connected(self, deadline: float) -> Socket:
        connection = _connect(self._address, self._timeouts.connect, deadline)
        if self._tls_context is None:
            return Socket(connection, self._timeouts.answer, deadline)
        try:
            left = max(deadline - monotonic(), 0.001)
            connection.settimeout(min(self._timeouts.answer, left))
            encrypted = self._tls_context.wrap_socket(connection, server_hostname=self._address[0])
        except BaseException:
            connection.close()
            raise
        return EncryptedSocket(encrypted, self._timeouts.answer, deadline)

    def _was_kept(self, client: Any) -> bool:
        return bool(client.sock.sent_at)

    def _release(self, client: Any) -> None:
        if len(self._idle) < MAX_IDLE:
            self._idle.append(client)
        else:
            client.close()

    def _discard(self, client: Any) -> None:
        client.close()

    def close_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # somebody else took the last one
                return


class PooledClient(Server):
    """A ``PooledClient`` that was handed in. Its methods are not used, but its pool: at a
    ``BaseException`` they leave the connection open, and counted as in use, forever."""

    def __init__(self, client: Any) -> None:
        super().__init__(label(client.server), client.key_prefix)
        self._client = client
        self._pool = client.client_pool

    def _acquire(self, *_: Any) -> Any:
        return self._pool.get()

    def _release(self, client: Any) -> None:
        self._pool.release(client)

    def _discard(self, client: Any) -> None:
        self._pool.destroy(client)

    def close_idle(self) -> None:
        for _ in self._pool.free:
            try:
                client = self._pool.get()
            except RuntimeError:  # others took them, and there may be no more
                return
            client.close()  # it connects again when it is used
            self._pool.release(client)

    def _start_over(self) -> None:
        self._pool.clear()  # or it counts the connection as in use forever

    def _forget(self) -> None:
        # A new pool, because a thread of the parent may have held the lock of this one.
        self._pool = type(self._pool)(
            self._client._create_client,
            after_remove=lambda client: client.close(),
            max_size=self._pool.max_size,
            idle_timeout=self._pool.idle_timeout,
        )


class PlainClient(Server):
    """A ``Client`` that was handed in, or something like it: one connection."""

    def __init__(self, client: Any) -> None:
        server = getattr(client, "server", type(client).__name__)
        super().__init__(label(server), getattr(client, "key_prefix", b""))
        self._client = client
        self._turn = PerProcess(RLock)

    def run(
        self, command: Command, deadline: float, *, open_only: bool = False, again: bool = False
    ) -> Any:
        with self._turn.get():
            return super().run(command, deadline, open_only=open_only, again=again)

    def _acquire(self, *_: Any) -> Any:
        return self._client

    def _release(self, *_: Any) -> None:
        """The next one has its turn when :meth:`run` returns."""

    def _discard(self, client: Any) -> None:
        client.close()

    def _forget(self) -> None:
        self._client.close()

    def close_idle(self) -> None:
        """Nothing to do: what failed is closed, and it connects again when it is used."""


class Socket:
    """What pymemcache needs of a socket, with an end to the waiting."""

    __slots__ = (
        "_again",
        "_answer",
        "_connection",
        "_limit",
        "_ready",
        "_until",
        "connected_at",
        "deadline",
        "sent_at",
    )

    def __init__(self, connection: socket.socket, answer: float, deadline: float) -> None:
        self._connection, self._answer = connection, answer
        self._limit = 0.0
        self._until = deadline
        self._again: bytes | None = None
        self._ready: Callable[[int], list[tuple[int, int]]] | None = None
        if type(connection).__module__ == "socket" and hasattr(select, "poll"):  # not gevent's
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            self._ready = poll.poll
        self.connected_at: float = monotonic()
        self.deadline: float = deadline
        self.sent_at: float = 0.0
        """When it was last used; 0 for a new one."""

    def sendall(self, data: bytes) -> None:
        if self._again is not None:
            return
        self.sent_at = now = monotonic()
        self._until = until = min(now + self._answer, self.deadline)
        self._set_limit(until - now)
        self._connection.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._again is not None:
            data, self._again = self._again, None
            return data
        self._set_limit(self._until - monotonic())
        return self._connection.recv(max(size, CHUNK))

    def rewind(self, data: bytes) -> None:
        """What was sent counts as not sent, and *data* as not received: somebody else goes through
        it again."""
        self._again = data

    def _set_limit(self, left: float) -> None:
        """Set the timeout, unless the one that is set is right to a tenth: a system call less."""
        if left <= 0:  # what is there already would be read without a wait, and so on
            raise TimeoutError("timed out")
        limit = self._answer if left > 0.9 * self._answer else max(left, 0.001)
        if limit != self._limit:
            self._connection.settimeout(limit)
            self._limit = limit

    def is_open(self) -> bool:
        """Whether nothing came in since the last reply: neither an end nor a stray answer."""
        if self._ready is not None:
            return not self._ready(0)
        self._limit = 0.0
        try:
            self._connection.settimeout(0)
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        self._ready = None  # the number of its descriptor may soon be another's
        self._connection.close()


class EncryptedSocket(Socket):
    """The same over TLS, whose sockets cannot be peeked into."""

    def is_open(self) -> bool:
        self._limit = 0.0
        try:
            self._connection.settimeout(0)
            self._connection.recv(1)
        except SSLWantReadError:
            return True
        except OSError:
            return False
        return False  # what came in belongs to nobody


def _connect(address: Address, seconds: float, deadline: float) -> socket.socket:
    """A connection to the first address that accepts, in all within *seconds*."""
    until = min(monotonic() + seconds, deadline)
    refused: OSError | None = None
    for family, where in _resolve(address):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(until - monotonic(), 0.001))
            connection.connect(where)
            if not isinstance(address, str):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            refused = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refused or OSError("the host has no address")


def _resolve(address: Address) -> list[tuple[int, Any]]:
    """The socket families and addresses to try."""
    if isinstance(address, str):
        if not hasattr(socket, "AF_UNIX"):  # Windows
            raise OSError("this system has no Unix sockets")
        return [(socket.AF_UNIX, address)]
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    return [(family, where) for family, _, _, _, where in found]
