"""A connection of redis-py whose every step keeps to one deadline, and how it is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from os import getpid
from socket import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from struct import pack
from threading import current_thread, main_thread
from time import monotonic
from typing import Any

from wsgi_sessions.stores.redis.watched import BESIDE_MILLISECONDS, Beside, Command

CHUNK = 65_536
LARGE = 4096
"""Bytes from which on a string is copied as little as can be."""
_MOST_AT_ONCE = 1 << 25
"""Bytes for which room is made because a server announces them."""
_INCOMPLETE = object()


def _front(size: int) -> bytes:
    """What stands before an argument of so many bytes."""
    return b"\r\n$%d\r\n" % size


_FRONTS = [_front(size) for size in range(160)]


def packed_beside(beside: Beside, *others: Command) -> tuple[bytes, bytes, bytes]:
    """The commands of *beside*, and the *others* behind it, in parts: the data of the record, which
    is not copied, is the second."""
    (_, second, (version, data), _, _), script = beside
    name = second.encode()
    front = _FRONTS[len(name)]
    parts = (b"*5\r\n$3\r\nSET", front, name, _front(len(version) + len(data)), version)
    behind = b"\r\n$2\r\nPX\r\n$5\r\n%d\r\n" % BESIDE_MILLISECONDS
    if len(script) == 8 and script[0] == "EVALSHA":  # no lists
        _, digest, _, key, _, replacing, _, left = script
        key, milliseconds = key.encode(), repr(left).encode()
        script_parts: Iterable[bytes] = (
            behind,
            b"*8\r\n$7\r\nEVALSHA\r\n$40\r\n",
            digest,
            b"\r\n$1\r\n2",
            _FRONTS[len(key)],
            key,
            front,
            name,
            _FRONTS[len(replacing)],
            replacing,
            b"\r\n$8\r\n",
            version,
            _FRONTS[len(milliseconds)],
            milliseconds,
            b"\r\n",
        )
    else:
        script_parts = (behind, packed(script))
    after = b"".join(script_parts)
    return b"".join(parts), data, b"".join((after, *map(packed, others))) if others else after


def packed(command: Command) -> bytes:
    """*command* as the server reads it, by one copy. What most requests do is written out:
    redis-py's packers take twice as many instructions, and copy a large value three times."""
    verb = command[0]
    if verb == "GET":
        name = command[1].encode()
        return b"".join((b"*2\r\n$3\r\nGET", _FRONTS[len(name)], name, b"\r\n"))
    if verb == "EVALSHA" and type(command[5]) is tuple:  # a compare-and-set
        _, digest, _, key, replacing, (version, data), left = command
        name, milliseconds = key.encode(), repr(left).encode()
        parts: Iterable[bytes] = (
            b"*7\r\n$7\r\nEVALSHA\r\n$40\r\n",
            digest,
            b"\r\n$1\r\n1",
            _FRONTS[len(name)],
            name,
            _FRONTS[len(replacing)],
            replacing,
            _front(len(version) + len(data)),
            version,
            data,
            _FRONTS[len(milliseconds)],
            milliseconds,
            b"\r\n",
        )
        return b"".join(parts)
    if verb == "SET" and command[3] == "NX":  # a creation
        _, key, (version, data), _, _, left = command
        name, milliseconds = key.encode(), repr(left).encode()
        parts = (
            b"*6\r\n$3\r\nSET",
            _FRONTS[len(name)],
            name,
            b"\r\n$%d\r\n" % (len(version) + len(data)),
            version,
            data,
            b"\r\n$2\r\nNX\r\n$2\r\nPX",
            _FRONTS[len(milliseconds)],
            milliseconds,
            b"\r\n",
        )
        return b"".join(parts)
    pieces = [b"*%d" % len(command)]
    for part in command:
        if type(part) is tuple:
            pieces += (_front(sum(map(len, part))), *part)
        else:
            piece = argument(part)
            pieces += (_front(len(piece)), piece)
    pieces.append(b"\r\n")
    return b"".join(pieces)


def argument(value: Any) -> bytes:
    """One of a command's arguments, as the server reads it."""
    kind = type(value)
    if kind is bytes:
        return bytes(value)
    if kind is str:
        return bytes(value.encode())
    return b"".join(value) if kind is tuple else repr(value).encode()  # pieces, or a number


def as_timeout(error: Exception) -> Exception:
    """*error*, or what it means where the system ends what takes too long."""
    return TimeoutError() if isinstance(error, BlockingIOError) else error


class Wire:
    """A socket whose reads and writes share a deadline, and the replies that come over it.

    A socket's own timeout is for each single read: a reply that drips in would never end.
    """

    __slots__ = (
        "_answer",
        "_feed",
        "_gets",
        "_send_parts",
        "_socket",
        "deadline",
        "error",
        "has_data",
        "main_thread",
        "pid",
        "receive",
        "send",
        "shortened",
        "used_at",
    )

    def __init__(self, socket: Any, answer: float, deadline: float) -> None:
        import hiredis

        self._socket, self._answer = socket, answer
        self.main_thread: int | None = None
        """Where the system ends what takes too long, the thread for which it does not."""
        self.deadline: float = deadline
        self.used_at: float = 0.0
        """When its last exchange began; monotonic."""
        self.pid: int = getpid()
        """The process that has opened it."""
        self.shortened: bool = True
        """Whether the timeout may be another than that for an answer; then :meth:`limit`."""
        reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._feed, self._gets = reader.feed, reader.gets
        self.send: Callable[[bytes | memoryview], None] = socket.sendall
        encrypts = hasattr(socket, "cipher")
        self._send_parts: Any = None if encrypts else getattr(socket, "sendmsg", None)
        self.receive: Callable[[int], bytes] = socket.recv
        self.error: type[Exception] = hiredis.ReplyError
        self.has_data: Callable[[], bool] = reader.has_data

    def let_kernel_wait(self) -> None:
        """Have the system end what takes too long. Python's own timeout costs a ``poll`` before
        each call: two system calls more an exchange, and twice more that a thread gives up the
        interpreter's lock and waits for it.

        Not in the main thread: it gets the signals, of which each would begin the time anew. Not
        for TLS and the sockets of gevent and eventlet, which are of other classes.
        """
        plain = type(self._socket).__module__ == "socket" and sys.platform == "linux"
        main = main_thread()
        if plain and current_thread() is not main:
            self._socket.settimeout(None)
            self.main_thread, self.shortened = main.ident, True

    def let_python_wait(self) -> None:
        """For the main thread, where another has opened the connection."""
        self.main_thread, self.shortened = None, True

    def ask(self, *parts: bytes) -> Any:
        """Send packed commands and read the reply to the first, as :meth:`read` does. Raises
        ``OSError``."""
        self.limit()
        sent = 0 if self._send_parts is None else self._send_parts(parts)
        if sent < sum(map(len, parts)):  # the system has taken no more
            self._send_rest(parts, sent)
        return self.reply_in(self.receive(CHUNK))

    def _send_rest(self, parts: tuple[bytes, ...], sent: int) -> None:
        for part in parts:
            rest = memoryview(part)[sent:]
            sent = max(sent - len(part), 0)
            while rest:
                self.limit()
                rest = rest[self._socket.send(rest) :]

    def read(self) -> Any:
        """The next reply, whole; an error reply too is returned, a large string as a view."""
        reply = self._gets()
        while reply is _INCOMPLETE:
            self.limit()
            data = self.receive(CHUNK)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._feed(data)
            reply = self._gets()
        return reply

    def reply_in(self, data: bytes) -> Any:
        """The reply of which *data* is the beginning, as :meth:`read` returns it."""
        if len(data) > LARGE and data[:1] == b"$":  # a string: hiredis would copy it twice
            end = data.find(b"\r\n")
            size = data[1:end]
            whole = end + int(size) + 4 if size.isdigit() else 0
            if len(data) == whole:
                return memoryview(data)[end + 2 : -2]
            if len(data) < whole <= _MOST_AT_ONCE:
                return self._whole(data, whole)[end + 2 : -2]
        self._feed(data)
        reply = self._gets()
        return self.read() if reply is _INCOMPLETE else reply

    def _whole(self, data: bytes, size: int) -> memoryview:
        """The *size* bytes of which *data* is the beginning, each read into its place."""
        # And one more, so that what comes behind them is seen.
        view, there = memoryview(bytearray(size + 1)), len(data)
        view[:there] = data
        while there < size:
            self.limit()
            got = self._socket.recv_into(view[there:])
            if not got:
                raise ConnectionResetError("the server closed the connection")
            there += got
        if there > size:
            self._feed(bytes(view[size:]))
        return view[:size]

    def limit(self) -> None:
        """Set the timeout, unless the one that is set is right to a tenth: a system call less."""
        left = self.deadline - monotonic()
        if left > 0.9 * self._answer:
            if self.shortened:
                self._set_timeout(self._answer)
                self.shortened = False
        elif left > 0:
            self._set_timeout(left)
            self.shortened = True
        else:
            raise TimeoutError

    def _set_timeout(self, seconds: float) -> None:
        if self.main_thread is None:
            self._socket.settimeout(seconds)
            return
        # A struct timeval; zero would be no limit.
        limit = pack("@ll", int(seconds), max(int(seconds % 1 * 1e6), 1))
        self._socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, limit)
        self._socket.setsockopt(SOL_SOCKET, SO_SNDTIMEO, limit)


class _LimitedSocket:
    """A socket as redis-py wants it for the handshake, on the deadline of a wire.

    Not the wire itself: whatever has ``__getattr__`` pays for it at each attribute.
    """

    def __init__(self, socket: Any, wire: Wire) -> None:
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


class LimitedConnection:
    """Mixed into redis-py's connection classes: no step of an exchange outlives the deadline."""

    deadline: float
    socket_timeout: float
    socket_connect_timeout: float
    wire: Wire
    spent = False

    def ask(self, *parts: bytes) -> Any:
        """As :meth:`Wire.ask`, with the exception that an error stands for."""
        return self._meant(self.wire.ask(*parts))

    def read(self) -> Any:
        """As :meth:`Wire.read`, with the exception that an error stands for."""
        return self._meant(self.wire.read())

    def _meant(self, reply: Any) -> Any:
        return self.meaning(reply) if isinstance(reply, self.wire.error) else reply

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
        self.wire = Wire(opened, answer, self.deadline)
        return _LimitedSocket(opened, self.wire)
