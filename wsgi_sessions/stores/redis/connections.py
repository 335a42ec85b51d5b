"""The connections that a RedisStore keeps to the server at its URL.

How this works. One ``redis.Redis().get()`` takes 140 k instructions, most of them for the pool,
retries and metrics; over a ``Connection`` of redis-py it takes 33 k, here 15 k. So the store keeps
connections itself, and speaks over their sockets with hiredis. Opening one, TLS, authentication
and what an error reply means are redis-py's. The usual exchange, a command and its reply over an
idle connection, is written out in :meth:`Connections.call`: in parts, as all others, it takes 6 k
more.

Rules for maintainers:

* A connection belongs to one exchange at a time. It is taken out of the list for it, and goes
  back only after the whole reply was read. Whatever is raised before, ``BaseException`` too
  (gevent's timeouts, ``KeyboardInterrupt``), closes it: nobody ever reads somebody else's reply.
* ``list.pop`` and ``list.append`` are atomic, so there is no lock, and none to be held in a fork.
* A connection belongs to a process, by its pid (uWSGI forks without Python's hooks). What a child
  inherits is closed there without a word to the server.
* A command is sent again once at most, on a new connection: if the idle one turns out to be dead
  (the server was restarted, or had closed it for being idle); a load also where an idle one did
  not answer in time, and a save, which recognises its own version, wherever it did not.
* What stands between us and the server may forget a connection without a word. One that was idle
  for 30 s is replaced.
* One that another thread has opened waits otherwise before the main thread uses it, for good.
* When a connection fails, or the server says that it is not the right one, all idle ones are
  closed.
* All steps of an operation share one deadline: twice the time for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import getpid
from threading import get_ident
from time import monotonic
from typing import Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable, cannot_import
from wsgi_sessions.stores.redis.packets import Wait, talk
from wsgi_sessions.stores.redis.replies import lost_during_write, unavailable
from wsgi_sessions.stores.redis.url import connection_options
from wsgi_sessions.stores.redis.watched import Command
from wsgi_sessions.stores.redis.wire import CHUNK, as_timeout, packed
from wsgi_sessions.stores.timeouts import IDLE_SECONDS, Timeouts

MAX_IDLE = 100
"""Connections that are kept. More were a burst (a thousand greenlets), and need not stay open."""

_SHORT = {b":1\r\n": 1, b"+OK\r\n": b"OK"}
"""The replies to most writes, whole."""


class Connections:
    """The server at *url*, reached over connections that stay open between requests."""

    is_cluster = False
    place_of: Callable[[str | bytes], str] | None = None

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        try:
            import hiredis
            import redis
        except ImportError as error:
            needs = "RedisStore needs redis-py and hiredis"
            raise cannot_import(error, needs, "wsgi-sessions[redis]") from None
        self._errors = redis.exceptions
        self._failures = (redis.exceptions.RedisError, OSError, hiredis.ProtocolError)
        self._wrong_server: tuple[type[Exception], ...] = (
            redis.exceptions.ReadOnlyError,
            redis.exceptions.AskError,
            redis.exceptions.ClusterDownError,
        )
        self._class, self._options = connection_options(url, timeouts)
        self._answer: float = self._options["socket_timeout"]
        self._wait = Wait(wait_replicas, int(self._answer * 500))  # half is for the network
        self._idle: list[Any] = []
        """The open connections that are not in use, the last used on top."""
        self._server = self._describe()

    def deadline(self) -> float:
        return monotonic() + 2 * self._answer

    def call(
        self,
        command: Command,
        deadline: float = 0.0,
        *,
        replicated: bool = False,
        recognisable: bool = False,
    ) -> Any:
        now = monotonic()
        latest = now + self._answer
        several = type(command) is not tuple or (replicated and self._wait.replicas)
        if several or (deadline and deadline < latest):
            return self._call_at_length(command, now, deadline, replicated, recognisable)
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._call_at_length(command, now, deadline, False, recognisable)
        wire = connection.wire
        if (
            now - wire.used_at > IDLE_SECONDS
            or wire.pid != getpid()
            or (wire.main_thread is not None and wire.main_thread == get_ident())
        ):
            self._idle.append(connection)
            return self._call_at_length(command, now, deadline, False, recognisable)
        try:
            wire.used_at, wire.deadline = now, latest
            sent = packed(command)
            if wire.shortened or len(sent) > CHUNK:
                reply = wire.ask(sent)
            else:
                wire.send(sent)
                data = wire.receive(CHUNK)
                reply = _SHORT.get(data[:6]) or wire.reply_in(data)
            if type(reply) is wire.error:
                raise connection.meaning(reply)
        except BaseException as error:
            self._settle(connection, error)
            if not isinstance(error, self._failures):
                raise
            failure = as_timeout(error)
        else:
            if len(self._idle) < MAX_IDLE and not wire.has_data():
                self._idle.append(connection)
            else:
                connection.disconnect()
            return reply
        deadline = deadline or now + 2 * self._answer
        return self._repeated(command, deadline, False, recognisable, failure, kept=True)

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
        idle, self._idle = self._idle, []
        while idle:
            idle.pop().disconnect()

    def _call_at_length(
        self, command: Command, now: float, deadline: float, replicated: bool, recognisable: bool
    ) -> Any:
        """As :meth:`call`, which has found the idle connections wanting, or *command* unusual."""
        deadline = deadline or now + 2 * self._answer
        replicated = replicated and self._wait.replicas > 0
        connection, kept = self._taken(now, deadline)
        try:
            return self._exchange(connection, command, now, deadline, replicated)
        except self._failures as error:
            failure = as_timeout(error)
        return self._repeated(command, deadline, replicated, recognisable, failure, kept=kept)

    def _taken(self, now: float, deadline: float) -> tuple[Any, bool]:
        """A connection, and whether it was kept since an earlier exchange."""
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._connect(deadline), False
        if connection.wire.pid != getpid():
            self._idle = []  # those of the process that has forked this one
            return self._connect(deadline), False
        if now - connection.wire.used_at <= IDLE_SECONDS:
            if connection.wire.main_thread == get_ident():  # see Wire.let_kernel_wait
                connection.wire.let_python_wait()
            return connection, True
        connection.disconnect()
        self.close()  # the others have been idle longer still
        return self._connect(deadline), False

    def _repeated(
        self,
        command: Command,
        deadline: float,
        replicated: bool,
        recognisable: bool,
        failure: Exception,
        *,
        kept: bool,
    ) -> Any:
        """The reply to *command*, sent once more after *failure* if that does no harm."""
        lost = isinstance(failure, OSError) and not isinstance(failure, TimeoutError)
        replied = isinstance(failure, self._errors.ResponseError)
        again = recognisable or (kept and command[0] == "GET")
        if not (lost or (again and not replied)):
            raise unavailable(failure, self._server) from None
        # It was closed before the command came, or the server takes none.
        unsent = isinstance(failure, BrokenPipeError) or unavailable(failure).applied is False
        reply = self._call_again(command, deadline, replicated, unsent=unsent)
        if not reply and reply is not None and (recognisable or replicated):
            raise lost_during_write(self._server)
        return reply

    def _call_again(
        self, command: Command, deadline: float, replicated: bool, *, unsent: bool
    ) -> Any:
        """The second attempt. *unsent*: the first has certainly done nothing."""
        try:
            connection = self._connect(deadline)
            return self._exchange(connection, command, monotonic(), deadline, replicated)
        except StoreUnavailable as error:
            failure = error
        except self._failures as error:
            failure = unavailable(as_timeout(error), self._server)
        failure.applied = failure.applied if unsent else None
        raise failure from None

    def _exchange(
        self, connection: Any, command: Command, now: float, deadline: float, replicated: bool
    ) -> Any:
        """Send one command and read its reply. The connection is kept only if all went well."""
        try:
            wire = connection.wire
            wire.used_at, latest = now, now + self._answer
            wire.deadline = latest if latest < deadline else deadline
            if replicated or type(command) is not tuple:
                reply = talk(connection, command, self._wait, replicated=replicated)
            else:
                reply = wire.ask(packed(command))
                if type(reply) is wire.error:
                    raise connection.meaning(reply)
        except BaseException as error:
            self._settle(connection, error)
            raise
        self._release(connection)
        return reply

    def _settle(self, connection: Any, error: BaseException) -> None:
        """Keep or close *connection* after *error*: only a whole reply, which says no, leaves it
        usable."""
        replied = isinstance(error, (self._errors.ResponseError, StoreUnavailable))
        if not replied or isinstance(error, self._wrong_server):
            connection.disconnect()
            self.close()
        elif connection.spent:
            connection.disconnect()
        else:
            self._release(connection)

    def _release(self, connection: Any) -> None:
        if len(self._idle) < MAX_IDLE and not connection.wire.has_data():
            self._idle.append(connection)
        else:
            connection.disconnect()

    def _connect(self, deadline: float) -> Any:
        connection = None
        try:
            connection = self._open(deadline)
            connection.deadline = deadline
            connection.connect()
            connection.wire.let_kernel_wait()
        except BaseException as error:
            if connection is not None:
                connection.disconnect()
            if isinstance(error, self._errors.RedisError):
                failure = unavailable(error, self._server)
                failure.applied = False  # no command was sent
                raise failure from None
            raise
        return connection

    def _open(self, deadline: float) -> Any:  # noqa: ARG002 - for Sentinels
        """A connection that is not connected yet."""
        return self._class(**self._options)

    def _describe(self) -> str:
        """The server for error messages; makes a connection, unopened, to try the options."""
        try:
            place = dict(self._class(**self._options).repr_pieces())
        except (TypeError, ValueError, self._errors.RedisError):
            raise ConfigurationError("the ssl_ options of the Redis URL do not fit") from None
        return f"Redis at {place.get('path') or '{host}:{port}'.format(**place)}"
