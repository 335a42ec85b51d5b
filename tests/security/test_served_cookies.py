"""The corpus of cookies over raw sockets, since each server reads a header in its own way."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.security.corpus import CANARY, WORTHLESS, Attempt, Stolen, flips, neighbours
from tests.servers.process import ServerProcess, accepts_connections, free_port
from tests.support.serving import ROOT, gunicorn
from tests.support.visitor import UNSIGNED

SECRET = "the signing secret of the tests"


class Reply(NamedTuple):
    """What came back over the socket; a status of 0 if the server only closed the connection."""

    status: int
    head: bytes
    body: bytes

    @property
    def is_ours(self) -> bool:
        """Whether the application has answered, and not the server in its place."""
        return b"x-application: ours" in self.head.lower()


class Served:
    """An application under a real server, with one visitor who is logged in."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.log = directory / "sessions.log"
        self.ask(f"sid={UNSIGNED}".encode())
        head = self.ask(path="/login").head.decode()
        [line] = [line for line in head.split("\r\n") if line.lower().startswith("set-cookie")]
        self.cookie = line.partition("=")[2].partition(";")[0]
        self.calls()

    def ask(self, *cookies: bytes, path: str = "/") -> Reply:
        """The reply to one request, with a ``Cookie`` line of each of *cookies*."""
        lines = [b"Cookie: " + cookie for cookie in cookies]
        request = [f"GET {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close"]
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            # A server that has seen enough may answer and close while we are still sending.
            with contextlib.suppress(OSError):
                client.sendall(b"\r\n".join([*request, *lines, b"", b""]))
                client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while data := client.recv(65_536):
                    received += data
        head, _, body = received.partition(b"\r\n\r\n")
        return Reply(int(head.split()[1]) if head else 0, head, body)

    def calls(self) -> list[str]:
        """What the store was asked since the last time."""
        return self.ask(path="/calls").body.decode().split()


@contextlib.contextmanager
def on_gunicorn(directory: Path) -> Iterator[int]:
    limits = ("--limit-request-field_size", "0", "--timeout", "0")
    with gunicorn("tests.security.served:app", directory, *limits) as url:
        yield int(url.rpartition(":")[2])


@contextlib.contextmanager
def on(server: str, directory: Path) -> Iterator[int]:
    port = free_port()
    process = ServerProcess(
        [sys.executable, "-m", "tests.security.served", server, str(port)],
        log=directory / "server.log",
        cwd=str(directory),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    process.start(lambda: accepts_connections(port))
    try:
        yield port
    finally:
        process.stop()


@pytest.fixture(scope="module", params=["gunicorn", "waitress", "wsgiref"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp(request.param)
    server = on_gunicorn(directory) if request.param == "gunicorn" else on(request.param, directory)
    with server as port:
        yield Served(port, directory)


def on_the_wire(attempt: Attempt) -> bytes:
    """WSGI's characters are bytes; what no server could have made of bytes goes as UTF-8."""
    try:
        return attempt.header.encode("latin-1")
    except UnicodeEncodeError:
        return attempt.header.encode("utf-8", "surrogatepass")


def is_one_line(attempt: Attempt) -> bool:
    """Whether no server can take its end or a margin off, as wsgiref does, to find a cookie."""
    line = on_the_wire(attempt).decode("latin-1")
    return line == line.strip() and len(line.splitlines()) <= 1


def worthless(stolen: Stolen) -> Iterator[Attempt]:
    for kind in WORTHLESS:
        # A connection each: of the bits, one in each byte, another one from byte to byte.
        yield from itertools.islice(kind(stolen), None, None, 7 if kind is flips else 1)


def test_what_we_did_not_sign_is_an_anonymous_visitor(served: Served) -> None:
    """Answered as to anybody, or refused by the server itself; no 5xx, and no store command."""
    ours = 0
    served.calls()  # of the tests before
    for attempt in worthless(Stolen(served.cookie, secret=SECRET)):
        reply = served.ask(on_the_wire(attempt))
        calls = served.calls()
        assert reply.status < 500, attempt.name
        assert CANARY.encode() not in reply.head, attempt.name
        assert b"set-cookie" not in reply.head.lower(), attempt.name
        if not is_one_line(attempt):
            continue
        if reply.is_ours:
            ours += 1
            assert (reply.status, reply.body, calls) == (200, b"nobody", []), attempt.name
    assert ours > 400


def test_several_cookie_lines_are_no_way_in(served: Served) -> None:
    """However a server joins them: the visitor, nobody, or refused; never a 5xx."""
    ours = f"sid={served.cookie}".encode()
    served.calls()  # of the tests before
    for lines in (
        [b"sid=x", ours], [ours, b"sid=x"], [ours, ours], [b"a=1", ours, b"b=2"],
        [b'a="', ours, b'"'], [b"sid=x"] * 90, [b"", ours],
    ):  # fmt: skip
        reply = served.ask(*lines)
        assert reply.status < 500, lines
        if reply.is_ours:
            assert reply.body in (b"ann", b"nobody"), lines
    assert set(served.calls()) <= {"load"}


def test_strange_neighbours_do_not_hide_the_cookie(served: Served) -> None:
    """Where the server passes them on, the visitor is still logged in."""
    found = 0
    for attempt in neighbours(Stolen(served.cookie)):
        reply = served.ask(on_the_wire(attempt))
        assert reply.status < 500, attempt.name
        if reply.is_ours:
            found += 1
            assert reply.body == b"ann", attempt.name
    assert found > 10


def test_nothing_of_it_is_in_the_log(served: Served) -> None:
    """The lines are there, bounded in number, and show no part of a cookie."""
    for number in range(20):
        served.ask(f"sid={CANARY}{number}".encode())
    lines = served.log.read_text()
    assert "refused" in lines
    for part in (CANARY, served.cookie[22:44], served.cookie[-43:], "Traceback"):
        assert part not in lines
