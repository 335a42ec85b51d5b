"""Flask: ``flask.session`` is the session of the middleware, the very object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgi_sessions.flask.sessions import FlaskSessionInterface, FlaskSessions

if TYPE_CHECKING:
    from wsgi_sessions.session import Session

    session: Session
    """``flask.session`` itself, with the types of :class:`~wsgi_sessions.Session`."""
else:
    from flask import session

__all__ = [
    "FlaskSessionInterface",
    "FlaskSessions",
    "session",
]
