"""One request to a WSGI application, with any ``Cookie`` header at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

from tests.support.calls import calls_of


class Answer(NamedTuple):
    """What the server would have sent."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def head(self) -> str:
        return "\n".join([self.status, *(f"{name}: {value}" for name, value in self.headers)])

    @property
    def cookie(self) -> str:
        """The value of the cookie that is set; empty if none is."""
        lines = [value for name, value in self.headers if name == "Set-Cookie"]
        return lines[0].partition(";")[0].partition("=")[2] if lines else ""


def ask(app: WSGIApplication, cookies: str = "", path: str = "/", **more: str) -> Answer:
    """The answer of *app* to a ``GET`` with the header ``Cookie: <cookies>``;
    *more* goes into the ``environ``."""
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_COOKIE": cookies, **more}
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Any:
        started[:] = [status, list(headers)]
        return lambda data: None

    body = app(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return Answer(*started, content)


def work(do: Callable[[], object]) -> int:
    """How many calls, of Python and of C functions, *do* makes."""
    return sum(calls_of(do))
