"""Pages whose store fails, and pages that make mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

from tests.served.bodies.pages.page import (
    TEXT,
    Body,
    page,
    put,
)


@page
def a_lazy_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    value = environ["wsgi.session"].get("x", 0)
    start_response("200 OK", list(TEXT))
    yield b"%d" % value


@page
def a_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return list(a_lazy_look(environ, start_response))


@page
def logout(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.session"].invalidate()
    start_response("200 OK", list(TEXT))
    return [b"bye"]


@page
def an_unsupported_value(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    put(environ, "y", [])
    environ["wsgi.session"]["y"].append(object())
    start_response("200 OK", list(TEXT))
    return Body(environ, [b"one"])


@page
def a_value_too_large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    put(environ, "y", "y" * (2 << 20))
    start_response("200 OK", list(TEXT))
    return Body(environ, [b"one"])
