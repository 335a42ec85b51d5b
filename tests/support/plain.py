"""A WSGI application without a framework, which finds its session in the ``environ``."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.support.scenarios import PATHS

OK = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "2")]


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application without sessions."""
    PATHS[environ["PATH_INFO"]]
    start_response("200 OK", OK.copy())
    return [b"ok"]


def with_session(key: str) -> WSGIApplication:
    """The same, with the session at ``environ[key]``."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        scenario = PATHS[environ["PATH_INFO"]]
        if scenario.use is not None:
            scenario.use(environ[key])
        start_response("200 OK", OK.copy())
        return [b"ok"]

    return application
