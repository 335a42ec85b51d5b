"""The connections that a RedisStore keeps to the server at its URL.

How this works. One ``redis.Redis().get()`` takes 140 k instructions, most of them for the pool,
retries and metrics; over a ``Connection`` of redis-py it takes 33 k, here 20 k. So the store keeps
connections itself, and speaks over their sockets with hiredis. Opening one, TLS, authentication
and what an error reply means are redis-py's.

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
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.redis.client import Command, confirmed, unavailable

CONNECT_SECONDS = 0.25
ANSWER_SECONDS = 0.5
MOST_KEPT = 100
"""More than that were a burst (a thousand greenlets), and need not stay open."""

_CHUNK = 65_536
_INCOMPLETE = object()

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
            import hiredis
            import redis
        except ImportError:
            raise ConfigurationError(
                'RedisStore needs redis-py and hiredis: pip install "wsgi-sessions[redis]"'
            ) from None
        self._errors = redis.exceptions
        self._pack: Callable[[Command], bytes] = hiredis.pack_command
        self._failures = (redis.exceptions.RedisError, OSError, hiredis.ProtocolError)
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
        self, command: Command, deadline: float, confirmed: bool = False, find_out: bool = False
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
        except self._failures as error:
            lost = isinstance(error, OSError) and not isinstance(error, TimeoutError)
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
            cursor, names = self.call(command, self.deadline())
            yield from names
            if cursor == b"0":
                return

    def close(self) -> None:
        """Close the connections that are not in use; later operations open new ones."""
        old, self._kept = self._kept, _Kept()
        while old:
            old.pop().disconnect()

    def _call_again(self, command: Command, deadline: float, confirmed: bool) -> Any:
        connection = self._connect(deadline)
        try:
            return self._exchange(connection, command, deadline, confirmed)
        except self._failures as error:
            raise unavailable(error, self._server) from None

    def _exchange(self, connection: Any, command: Command, deadline: float, confirmed: bool) -> Any:
        """Send one command and read its reply. The connection is kept only if all went well."""
        try:
            wire = connection.wire
            latest = monotonic() + self._answer
            wire.deadline = latest if latest < deadline else deadline
            if confirmed:
                reply = self._confirmed_reply(connection, command)
            else:
                wire.send(self._packed(command))
                reply = wire.read()
                if isinstance(reply, wire.error):
                    raise connection.meaning(reply)
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

    def _packed(self, command: Command) -> bytes:
        if command[0] == "GET":  # what every request does: hiredis takes 3 k instructions more
            name = command[1].encode()
            return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(name), name)
        return self._pack(command)

    def _confirmed_reply(self, connection: Any, command: Command) -> Any:
        """Command and WAIT go out together; both replies are read, whatever they are."""
        wire = connection.wire
        wait = ("WAIT", self._wait_replicas, int(self._answer * 500))  # half is for the way
        wire.send(self._pack(command) + self._pack(wait))
        replies = [wire.read(), wire.read()]
        meanings = [
            connection.meaning(reply) if isinstance(reply, wire.error) else reply
            for reply in replies
        ]
        return confirmed(meanings, self._wait_replicas)

    def _keep(self, connection: Any) -> None:
        kept, surplus = self._kept, connection.wire.has_data()
        if connection.pid == kept.pid and len(kept) < MOST_KEPT and not surplus:
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


class _Wire:
    """A socket whose reads and writes share a deadline, and the replies that come over it.

    A socket's own timeout is for each single read: a reply that drips in would never end.
    """

    __slots__ = ("_answer", "_reader", "_shortened", "_socket", "deadline", "error", "has_data")

    def __init__(self, socket: Any, answer: float, deadline: float) -> None:
        import hiredis

        self._socket, self._answer, self.deadline = socket, answer, deadline
        self._shortened = True
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self.error = hiredis.ReplyError
        self.has_data: Callable[[], bool] = self._reader.has_data

    def send(self, packed: bytes) -> None:
        """Raises ``OSError``, as :meth:`read` does."""
        self.limit()
        self._socket.sendall(packed)

    def read(self) -> Any:
        """The next reply, whole; an error reply too is returned."""
        reader, receive = self._reader, self._socket.recv
        reply = reader.gets()
        while reply is _INCOMPLETE:
            data = receive(_CHUNK)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            reader.feed(data)
            reply = reader.gets()
            if reply is _INCOMPLETE:
                self.limit()
        return reply

    def limit(self) -> None:
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


class _LimitedSocket:
    """A socket as redis-py wants it for the handshake, on the deadline of a wire.

    Not the wire itself: whatever has ``__getattr__`` pays for it at each attribute.
    """

    def __init__(self, socket: Any, wire: _Wire) -> None:
        self._socket, self._wire = socket, wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: Any) -> None:
        self._wire.limit()
        self._socket.sendall(data)

    def recv(self, *arguments: Any) -> Any:
        self._wire.limit()
        return self._socket.recv(*arguments)

    def recv_into(self, *arguments: Any) -> Any:
        self._wire.limit()
        return self._socket.recv_into(*arguments)


class _LimitedConnection:
    """Mixed into redis-py's connection classes: no step of an exchange outlives the deadline."""

    deadline: float
    socket_timeout: float
    socket_connect_timeout: float
    wire: _Wire

    def meaning(self, error: Exception) -> Exception:
        """The exception that an error reply stands for."""
        meant: Exception = self._parser.parse_error(str(error))  # type: ignore[attr-defined]
        return meant

    def _connect(self) -> _LimitedSocket:
        answer, connect = self.socket_timeout, self.socket_connect_timeout
        left = max(self.deadline - monotonic(), 0.01)
        self.socket_connect_timeout = min(connect, left)
        self.socket_timeout = min(answer, max(left - connect, 0.01))  # for the TLS handshake
        try:
            opened = super()._connect()  # type: ignore[misc]
        finally:
            self.socket_timeout, self.socket_connect_timeout = answer, connect
        self.wire = _Wire(opened, answer, self.deadline)
        return _LimitedSocket(opened, self.wire)


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
