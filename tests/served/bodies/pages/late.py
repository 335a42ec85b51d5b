"""Pages that look at their session, or change it, after the headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from tests.served.bodies.pages.page import (
    CHUNK,
    CHUNKS,
    PATIENCE,
    TEXT,
    Body,
    note,
    page,
    put,
)


@page
def late_change(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        yield b"one"
        put(environ, "late")
        yield b"two"

    start_response("200 OK", list(TEXT))
    return Body(environ, body())


@page
def late_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Nobody looks at the session before the headers have gone out."""

    def body() -> Iterator[bytes]:
        yield b"one "
        yield b"%d" % environ["wsgi.session"].get("x", 0)

    start_response("200 OK", list(TEXT))
    return body()


@page
def late_look_at_a_cached_page(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]]) -> Any:
        return start_response(status, [*headers, ("Cache-Control", "max-age=60")])

    return late_look(environ, start)  # type: ignore[arg-type]


@page
def ordinary_answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """As frameworks give it: an object with a length that is known."""
    start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    return Body(environ, iter([b"one", b"two"]))


@page
def client_goes_away(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        for number in range(CHUNKS):
            put(environ, "chunks", number)
            yield CHUNK

    start_response("200 OK", list(TEXT))
    return Body(environ, chunks())


@page
def client_of_a_generator_goes_away(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        try:
            yield from client_goes_away(environ, start_response).chunks  # type: ignore[attr-defined]
        finally:
            note(environ, "closed")

    return chunks()


@page
def a_slow_stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Its second chunk is made when the client has seen the first."""

    def chunks() -> Iterator[bytes]:
        yield b"one"
        seen: Path = environ["bodies.directory"] / environ["QUERY_STRING"]
        deadline = monotonic() + PATIENCE
        while not seen.exists() and monotonic() < deadline:
            sleep(0.005)
        yield b"two" if seen.exists() else b"nobody has seen the first"

    put(environ)
    start_response("200 OK", list(TEXT))
    return chunks()


@page
def a_websocket(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Takes the socket, as websocket libraries do on gevent and on eventlet."""
    put(environ, "late")
    taken = b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello"
    if "eventlet.input" in environ:
        from eventlet.wsgi import WSGI_LOCAL

        WSGI_LOCAL.already_handled = True
        environ["eventlet.input"].get_socket().sendall(taken)
    else:
        environ["wsgi.input"].rfile.raw._sock.sendall(taken)
    return []
