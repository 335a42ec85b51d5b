"""A site of one page with the devices page beside it; served by gunicorn in the browser tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from wsgi_sessions import SessionMiddleware, Store
from wsgi_sessions.devices import DevicesPage

MOUNT = "/account/devices"
PAGE = (
    '<!doctype html><html lang="en"><title>Site</title><link rel="icon" href="data:,">'
    "<p>You are {}.</p>"
)


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Says who is logged in; ``?login=ann`` logs in."""
    session = environ["wsgi.session"]
    if login := parse_qs(environ["QUERY_STRING"]).get("login"):
        session.login(login[0])
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE.format(session.owner or "nobody").encode()]


def mounted(
    app: WSGIApplication, store: Store | None = None, *, page: Any = None, **options: Any
) -> SessionMiddleware:
    """*app* with sessions, and with the devices page; *page* has arguments for that."""
    application = SessionMiddleware(app, store, **options)
    devices = DevicesPage(application.manager, **(page or {}))
    application.app = DispatcherMiddleware(app, {MOUNT: devices})
    return application


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """For a server; made with the first request."""
    global _served
    _served = _served or mounted(site)
    return _served(environ, start_response)


_served: SessionMiddleware | None = None
