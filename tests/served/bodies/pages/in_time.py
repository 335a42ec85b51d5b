"""Pages that do all with their session before the headers go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper

from tests.served.bodies.pages.page import (
    PAGES,
    TEXT,
    Body,
    NotedFile,
    note,
    page,
    put,
)
from wsgi_sessions import SessionClosed

# Bodies that run no more code


@page
def a_list(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    return [b"one", b"two"]


@page
def a_tuple(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    return (b"one", b"two")


@page
def a_file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    path = environ["bodies.directory"] / "file"
    start_response("200 OK", [*TEXT, ("Content-Length", str(path.stat().st_size))])
    wrapper: Any = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(NotedFile(environ, path))  # type: ignore[no-any-return]


@page
def not_modified(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


@page
def no_content(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("204 No Content", [])
    return []


@page
def a_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The answer to HEAD: by PEP 3333 it is the application that leaves the body out."""
    put(environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    return []


# Bodies that do, and what they do before the headers go out


@page
def a_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Its session begins when the body does."""

    def body() -> Iterator[bytes]:
        put(environ)
        yield b"one"
        yield b"two"

    start_response("200 OK", list(TEXT))
    return body()


@page
def an_iterator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The same of a class."""
    return Body(environ, a_generator(environ, start_response))


@page
def a_lazy_start(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    yield b"one"
    yield b"two"


@page
def an_empty_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    put(environ)
    yield from ()


@page
def a_lazy_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    yield from a_head(environ, start_response)


def after_empty_chunks(number: int) -> WSGIApplication:
    """A page that begins its session just after the *number*-th empty chunk."""

    def empty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            for _ in range(number):
                yield b""
            put(environ)
            yield b"one"
            yield b""
            yield b"two"

        start_response("200 OK", list(TEXT))
        return body()

    return empty


PAGES["an_empty_chunk"] = after_empty_chunks(1)
PAGES["eight_empty_chunks"] = after_empty_chunks(8)


@page
def nine_empty_chunks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What comes after the ninth is late, and is saved like everything that is late."""

    def body() -> Iterator[bytes]:
        for _ in range(9):
            yield b""
        try:
            put(environ, "late")
        except SessionClosed:
            note(environ, "too late for a new session")
        yield b"one"
        yield b"two"

    start_response("200 OK", list(TEXT))
    return body()


@page
def only_empty_chunks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(TEXT))
    yield b""
    put(environ)
    yield b""


@page
def write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    send = start_response("200 OK", list(TEXT))
    send(b"one")
    put(environ, "late")
    send(b"two")
    return []


@page
def only_write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    send = start_response("200 OK", list(TEXT))
    send(b"one")
    send(b"two")
    return []


@page
def write_then_iterable(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        put(environ, "late")
        yield b"two"

    put(environ)
    start_response("200 OK", list(TEXT))(b"one")
    return body()
