"""A connection of redis-py whose every step keeps to one deadline, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

_CHUNK = 65_536
_INCOMPLETE = object()


class Wire:
    """A socket whose reads and writes share a deadline, and the replies that come over it.

    A socket's own timeout is for each single read: a reply that drips in would never end.
    """

    __slots__ = ("_answer", "_reader", "_shortened", "_socket", "deadline", "error", "has_data")

    def __init__(self, socket: Any, answer: float, deadline: float) -> None:
        import hiredis

        self._socket, self._answer = socket, answer
        self.deadline: float = deadline
        self._shortened = True
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self.error: type[Exception] = hiredis.ReplyError
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
