"""One request over a socket, and the reply to the last byte, as no client library shows it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class Reply(NamedTuple):
    """What came back: the body is what the framing holds, ``extra`` what stood after it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    extra: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cookie(self) -> str | None:
        """The cookie that was set, for the next request's header."""
        lines = self.all("Set-Cookie")
        assert len(lines) <= 1, "one cookie of our name at most"
        return lines[0].partition(";")[0] if lines else None


class Connection:
    """A connection for one request, which has been sent."""

    def __init__(self, port: int, path: str, *, method: str, cookie: str, timeout: float) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        if cookie:
            lines.append(f"Cookie: {cookie}")
        self._method, self._received = method, b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def read(self) -> Reply:
        """The whole reply, also one that the server breaks off."""
        with suppress(ConnectionResetError):
            while data := self._socket.recv(65_536):
                self._received += data
        return parse(self._received, self._method)

    def read_until(self, condition: Callable[[Reply], bool]) -> Reply:
        """The reply as soon as *condition* holds for what has come of it."""
        while True:
            data = self._socket.recv(65_536)
            assert data, f"the reply has ended: {self._received[:200]!r}"
            self._received += data
            if b"\r\n\r\n" in self._received:
                reply = parse(self._received, self._method)
                if condition(reply):
                    return reply

    def vanish(self) -> None:
        """Close without a farewell: what is still sent to this client is refused at once."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def parse(received: bytes, method: str) -> Reply:
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1."), f"no reply: {received[:200]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    reply = Reply(int(first.split()[1]), [(name, value.strip()) for name, _, value in pairs], b"")
    if method == "HEAD" or reply.status in (101, 204, 304):
        return reply._replace(extra=rest)
    if "chunked" in reply.all("Transfer-Encoding"):
        body, extra = unchunked(rest)
        return reply._replace(body=body, extra=extra)
    lengths = reply.all("Content-Length")
    length = int(lengths[0]) if lengths else len(rest)
    return reply._replace(body=rest[:length], extra=rest[length:])


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """The body that was sent in chunks, as far as it has come, and what stands behind its end."""
    body = b""
    while b"\r\n" in data:
        line, _, data = data.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:  # something else, such as a second reply of a server that has failed
            return body, line + data
        if size == 0:
            return body, data.removeprefix(b"\r\n")
        body += data[:size]
        data = data[size + 2 :]
    return body, b""
