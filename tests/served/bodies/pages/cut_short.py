"""Pages that start another response than they had started, or raise."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.served.bodies.pages.page import (
    CHUNK,
    PAGES,
    TEXT,
    Abort,
    Body,
    note,
    page,
    put,
)

# Restarts


def restart(start_response: StartResponse, **keyword: Any) -> None:
    """Another response, as an application does that has caught an exception."""
    try:
        raise ValueError("caught")
    except ValueError:
        if keyword:
            start_response("500 Internal Server Error", list(TEXT), exc_info=sys.exc_info())
        else:
            start_response("500 Internal Server Error", list(TEXT), sys.exc_info())


@page
def restart_before_the_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    restart(start_response)
    return [b"sorry"]


@page
def restart_by_keyword(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", [*TEXT, ("X-First", "1")], exc_info=None)
    restart(start_response, keyword=True)
    return [b"sorry"]


def restart_after_empty_chunks(number: int) -> WSGIApplication:
    def restarted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [*TEXT, ("X-First", "1")])
        put(environ)
        for _ in range(number):
            yield b""
        restart(start_response)
        yield b"sorry"

    return restarted


PAGES["restart_after_an_empty_chunk"] = restart_after_empty_chunks(1)
PAGES["restart_after_nine_empty_chunks"] = restart_after_empty_chunks(9)


@page
def restart_after_the_headers(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    def body() -> Iterator[bytes]:
        yield CHUNK
        put(environ, "half")
        restart(start_response)
        note(environ, "restarted")
        yield b"sorry"

    start_response("200 OK", list(TEXT))
    return Body(environ, body())


# Raises


@page
def raise_before_the_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ)
    start_response("200 OK", list(TEXT))
    raise ValueError("before the body")


def raising(error: type[BaseException], chunks: int) -> WSGIApplication:
    """A page whose body raises after so many chunks."""

    def broken(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def body() -> Iterator[bytes]:
            for _ in range(chunks):
                yield CHUNK
            put(environ, "half")
            raise error

        start_response("200 OK", list(TEXT))
        return Body(environ, body())

    return broken


PAGES["raise_before_the_first_chunk"] = raising(ValueError, 0)
PAGES["raise_in_the_middle"] = raising(ValueError, 1)
PAGES["abort_before_the_first_chunk"] = raising(Abort, 0)
PAGES["abort_in_the_middle"] = raising(Abort, 1)
PAGES["exit_in_the_middle"] = raising(SystemExit, 1)
