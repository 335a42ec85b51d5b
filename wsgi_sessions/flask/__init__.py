"""Flask: ``flask.session`` is the session of the middleware, the very object."""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import flask  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "flask":
        raise
    raise ModuleNotFoundError(
        'wsgi_sessions.flask needs Flask: pip install "wsgi-sessions[flask]"', name="flask"
    ) from None

from wsgi_sessions.flask.interface import FlaskSessionInterface
from wsgi_sessions.flask.sessions import FlaskSessions

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
