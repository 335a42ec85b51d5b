"""Beaker, around a plain WSGI application that saves what it changed, as Beaker wants it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from beaker.middleware import SessionMiddleware

from benchmarks.contenders import Pair, Places
from benchmarks.contenders.ours import SECRET
from tests.support.plain import OK, bare
from tests.support.scenarios import PATHS


def _application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    scenario = PATHS[environ["PATH_INFO"]]
    if scenario.use is not None:
        session = environ["beaker.session"]
        scenario.use(session)
        if scenario.changes:
            session.save()
    start_response("200 OK", OK.copy())
    return [b"ok"]


def _pair(**options: Any) -> Pair:
    options = {"secret": SECRET, "timeout": 86_400, "cookie_expires": True} | options
    config = {f"session.{name}": value for name, value in options.items()}
    return Pair(bare, SessionMiddleware(_application, config))


def redis(places: Places) -> Pair:
    return _pair(type="ext:redis", url=places["redis"])


def memory(_places: Places) -> Pair:
    return _pair(type="memory")
