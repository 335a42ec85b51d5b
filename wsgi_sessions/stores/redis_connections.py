"""The connections that a RedisStore keeps to the server at its URL.

How this works. One ``redis.Redis().get()`` takes about 136 Python calls, most of them for the
pool, retries and metrics; the exchange on a ``Connection`` of redis-py takes a quarter. So the
store keeps connections itself. Opening one, TLS, authentication, the protocol and the errors are
redis-py's.

Rules for whoever edits this:

* A connection belongs to one exchange at a time. It is taken out of the list for it, and goes
  back only after the whole reply was read. Whatever is raised meanwhile, ``BaseException`` too
  (gevent's timeouts, ``KeyboardInterrupt``), closes it: nobody ever reads somebody else's reply.
* ``list.pop`` and ``list.append`` are atomic, so there is no lock, and none to be held in a fork.
* The list belongs to a process, by its pid (uWSGI forks without Python's hooks). What a child
  inherits is closed there without a word to the server.
* A command is sent again once at most, on a new connection: if the kept one turns out to be dead
  (the server was restarted, or had closed it for being idle), and a save, which recognises its
  own version, also where the reply did not come in time.
* When a connection fails, or the server says that it is not the right one, all kept ones go.
* All steps of an operation share one deadline.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.redis_client import confirmed, unavailable

CONNECT_SECONDS = 0.25
ANSWER_SECONDS = 0.5
MOST_KEPT = 100
"""More than that were a burst (a thousand greenlets), and need not stay open."""

_OPTIONS = {"host", "port", "path", "db", "username", "password", "client_name"} | {
    "socket_timeout",
    "socket_connect_timeout",
}
_URL = (
    "redis://[[user]:password@]host[:port][/db], rediss:// for TLS, or unix://path; special "
    "characters in user and password as %XX"
)


class Connections:
    """The server at *url*, reached over connections that stay open between requests."""

    def __init__(self, url: str, *, wait_replicas: int = 0) -> None:
        try:
            import redis
        except ImportError:
            raise ConfigurationError(
                'RedisStore needs redis-py: pip install "wsgi-sessions[redis]"'
            ) from None
        self._errors = redis.exceptions
        self._wrong_server = (
            redis.exceptions.ReadOnlyError,
            redis.exceptions.AskError,
            redis.exceptions.ClusterDownError,
        )
        self._class, self._options = _connection_options(url)
        self._answer: float = self._options["socket_timeout"]
        self._wait_replicas = wait_replicas
        self._kept = _Kept()
        self._server = self._describe()

    def deadline(self) -> float:
        return monotonic() + 2 * self._answer

    def call(
        self, *command: Any, deadline: float, confirmed: bool = False, find_out: bool = False
    ) -> Any:
        confirmed = confirmed and self._wait_replicas > 0
        kept = self._kept
        if kept.pid != os.getpid():
            kept = self._kept = _Kept()
        try:
            connection = kept.pop()
        except IndexError:
            connection = self._connect(deadline)
        try:
            return self._exchange(connection, command, deadline, confirmed)
        except self._errors.RedisError as error:
            lost = type(error) is self._errors.ConnectionError
            replied = isinstance(error, self._errors.ResponseError)
            if not (lost or (find_out and not replied)):
                raise unavailable(error, self._server) from None
        reply = self._call_again(command, deadline, confirmed)
        if not reply and reply is not None and (find_out or confirmed):
            raise StoreUnavailable(
                f"{self._server} was lost during a write; what became of it cannot be told"
            )
        return reply

    def scan(self, pattern: str) -> Iterator[bytes]:
        cursor = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            cursor, names = self.call(*command, deadline=self.deadline())
            yield from names
            if cursor == b"0":
                return

    def close(self) -> None:
        """Close the connections that are not in use; later operations open new ones."""
        old, self._kept = self._kept, _Kept()
        while old:
            old.pop().disconnect()

    def _call_again(self, command: tuple[Any, ...], deadline: float, confirmed: bool) -> Any:
        connection = self._connect(deadline)
        try:
            return self._exchange(connection, command, deadline, confirmed)
        except self._errors.RedisError as error:
            raise unavailable(error, self._server) from None

    def _exchange(
        self, connection: Any, command: tuple[Any, ...], deadline: float, confirmed: bool
    ) -> Any:
        """Send one command and read its reply. The connection is kept only if all went well."""
        try:
            connection.until(min(deadline, monotonic() + self._answer))
            if confirmed:
                reply = self._confirmed_reply(connection, command)
            else:
                connection.send_packed_command(connection.pack_command(*command), False)
                reply = connection.read_response()
        except self._errors.ResponseError as error:  # a whole reply, that says no
            if isinstance(error, self._wrong_server):
                connection.disconnect()
                self.close()
            else:
                self._keep(connection)
            raise
        except StoreUnavailable:
            self._keep(connection)
            raise
        except BaseException:
            connection.disconnect()
            self.close()
            raise
        self._keep(connection)
        return reply

    def _confirmed_reply(self, connection: Any, command: tuple[Any, ...]) -> Any:
        """Command and WAIT go out together; both replies are read, whatever they are."""
        wait = ("WAIT", self._wait_replicas, int(self._answer * 500))  # half is for the way
        connection.send_packed_command(connection.pack_commands([command, wait]), False)
        replies = []
        for _ in range(2):
            try:
                replies.append(connection.read_response())
            except self._errors.ResponseError as error:
                replies.append(error)
        return confirmed(replies, self._wait_replicas)

    def _keep(self, connection: Any) -> None:
        kept = self._kept
        if connection.pid == kept.pid and len(kept) < MOST_KEPT:
            kept.append(connection)
        else:
            connection.disconnect()

    def _connect(self, deadline: float) -> Any:
        connection = self._class(**self._options)
        connection.deadline = deadline
        try:
            connection.connect()
        except BaseException as error:
            connection.disconnect()
            if isinstance(error, self._errors.RedisError):
                raise unavailable(error, self._server) from None
            raise
        return connection

    def _describe(self) -> str:
        """The server for error messages; makes a connection, unopened, to try the options."""
        try:
            place = dict(self._class(**self._options).repr_pieces())
        except (TypeError, ValueError, self._errors.RedisError):
            raise ConfigurationError("the ssl_ options of the Redis URL do not fit") from None
        return f"Redis at {place.get('path') or '{host}:{port}'.format(**place)}"


class _Kept(list[Any]):
    """The open connections of one process that are not in use, the last used on top."""

    def __init__(self) -> None:
        self.pid = os.getpid()


class _LimitedSocket:
    """A socket whose reads and writes share a deadline.

    A socket's own timeout is for each single read: a reply that drips in would never end.
    """

    __slots__ = ("_answer", "_shortened", "_socket", "deadline")

    def __init__(self, socket: Any, answer: float, deadline: float) -> None:
        self._socket, self._answer, self.deadline = socket, answer, deadline
        self._shortened = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: Any) -> None:
        self._limit()
        self._socket.sendall(data)

    def recv(self, *arguments: Any) -> Any:
        self._limit()
        return self._socket.recv(*arguments)

    def recv_into(self, *arguments: Any) -> Any:
        self._limit()
        return self._socket.recv_into(*arguments)

    def _limit(self) -> None:
        """Set the timeout, unless the one that is set is right to a tenth: a system call less."""
        left = self.deadline - monotonic()
        if left > 0.9 * self._answer:
            if self._shortened:
                self._socket.settimeout(self._answer)
                self._shortened = False
        elif left > 0:
            self._socket.settimeout(left)
            self._shortened = True
        else:
            raise TimeoutError


class _LimitedConnection:
    """Mixed into redis-py's connection classes: no step of an exchange outlives the deadline."""

    deadline: float
    socket_timeout: float
    socket_connect_timeout: float
    _limited: _LimitedSocket

    def until(self, deadline: float) -> None:
        """Let the next exchange be over by then."""
        self._limited.deadline = deadline

    def _connect(self) -> _LimitedSocket:
        answer, connect = self.socket_timeout, self.socket_connect_timeout
        left = max(self.deadline - monotonic(), 0.01)
        self.socket_connect_timeout = min(connect, left)
        self.socket_timeout = min(answer, max(left - connect, 0.01))  # for the TLS handshake
        try:
            opened = super()._connect()  # type: ignore[misc]
        finally:
            self.socket_timeout, self.socket_connect_timeout = answer, connect
        self._limited = _LimitedSocket(opened, answer, self.deadline)
        return self._limited


def _connection_options(url: str) -> tuple[type[Any], dict[str, Any]]:
    """redis-py's connection class for *url*, with the deadline mixed in, and its options."""
    from redis.connection import AbstractConnection, Connection, parse_url

    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
    try:
        options = parse_url(scheme + separator + rest)  # type: ignore[no-untyped-call]
    except ValueError:  # whose text may quote a password
        raise ConfigurationError(f"not a Redis URL; write {_URL}") from None
    base = options.pop("connection_class", Connection)
    for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True):
        if name not in _OPTIONS and not name.startswith("ssl_"):
            shown = repr(name) if name.isidentifier() else f"(write {_URL})"
            raise ConfigurationError(f"unknown option {shown} in the Redis URL")
    options.setdefault("socket_connect_timeout", CONNECT_SECONDS)
    options.setdefault("socket_timeout", ANSWER_SECONDS)
    options["protocol"] = 2  # no HELLO to wait for, no push messages
    if issubclass(base, Connection):
        options["socket_keepalive"] = True  # a firewall that forgets us is noticed while idle
    # CLIENT SETINFO would be two more round trips, and two entries in the ACL log
    known = inspect.signature(AbstractConnection.__init__).parameters
    unnamed = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    options.update(dict.fromkeys(unnamed))
    return type("LimitedConnection", (_LimitedConnection, base), {}), options
