"""Flask: ``flask.session`` is the session of the middleware, the very object."""

from __future__ import annotations

from wsgi_sessions.flask.sessions import FlaskSessionInterface, FlaskSessions

__all__ = [
    "FlaskSessionInterface",
    "FlaskSessions",
]
