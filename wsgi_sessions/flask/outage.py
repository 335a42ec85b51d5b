"""A failure of the store in a view: the middleware's 503, unless the application handles it.

Flask turns every exception that nothing handles into a 500. A store that is down is no bug of the
application's, so the exception is let out instead, to the middleware around. An application's own
error handlers come first: those for the exception and its parents without our help, those for 500
and 503 by a look at what is registered.
"""

from __future__ import annotations

from typing import Any

import flask
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from wsgi_sessions.errors import StoreError
from wsgi_sessions.flask.logout import was_in_logout
from wsgi_sessions.session import Session

__all__ = ["let_outages_leave"]

_MARK = "wsgi_sessions.outage"


def let_outages_leave(app: flask.Flask) -> None:
    """Have a :exc:`~wsgi_sessions.StoreError` that nothing in *app* handles leave it. Once is
    enough, again does nothing."""
    if _MARK in app.extensions:
        return
    app.extensions[_MARK] = True
    handle_exception = app.handle_exception

    def handle(error: Exception) -> Any:
        if not isinstance(error, StoreError) or _handles(app, InternalServerError):
            return handle_exception(error)
        flask.got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
        if not _handles(app, ServiceUnavailable):
            session: object = flask.session._get_current_object()  # type: ignore[attr-defined]
            if isinstance(session, Session) and was_in_logout(error):
                session.invalidate()
            raise error
        answer = app.handle_http_exception(ServiceUnavailable(retry_after=1))
        response = app.finalize_request(answer, from_error_handler=True)
        response.headers.setdefault("Retry-After", "1")
        return response

    app.handle_exception = handle  # type: ignore[method-assign, assignment]


def _handles(app: flask.Flask, kind: type[HTTPException]) -> bool:
    """Whether *app*, or a blueprint of this request, has a handler for this answer."""
    for name in (*flask.request.blueprints, None):
        handlers = app.error_handler_spec.get(name, {})
        registered = {**handlers.get(kind.code, {}), **handlers.get(None, {})}
        if any(parent in registered for parent in kind.__mro__):
            return True
    return False
