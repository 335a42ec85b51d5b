"""Flask-Login: a login there is a login of the session, a logout its end.

Flask-Login only notes the user under keys of its own in the session. Without this the cookie from
before a login would go on being good after it (session fixation, OWASP ASVS 5.0, 7.2.4), and a
request in flight could bring back what a logout ended.
"""

from __future__ import annotations

from typing import Any

import flask

from wsgi_sessions.session import Session

__all__ = ["follow_flask_login"]


def follow_flask_login() -> None:
    """Listen to Flask-Login's signals, for every application whose session is ours."""
    try:
        import flask_login  # type: ignore[import-untyped]
    except ImportError:
        return  # the application has a login manager of its own
    flask_login.user_logged_in.connect(_log_in)
    flask_login.user_loaded_from_cookie.connect(_log_in)  # "remember me"
    flask_login.user_logged_out.connect(_log_out)
    flask_login.session_protected.connect(_end_protected)


def _session() -> Session | None:
    session: Any = flask.session
    session = session._get_current_object()
    return session if isinstance(session, Session) else None


def _log_in(_app: flask.Flask, **_more: Any) -> None:
    """Another user's data goes; Flask-Login has put its own keys before it tells of the login."""
    from flask_login.config import SESSION_KEYS  # type: ignore[import-untyped]

    if (session := _session()) is not None:
        own = {key: session[key] for key in SESSION_KEYS if key in session}
        session.login(str(own["_user_id"]))
        session.update(own)


def _log_out(_app: flask.Flask, **_more: Any) -> None:
    """What Flask-Login leaves in the session goes on in a new one that belongs to nobody."""
    if (session := _session()) is not None:
        left = session.copy()
        session.invalidate()
        session.update(left)


def _end_protected(app: flask.Flask, **_more: Any) -> None:
    """``SESSION_PROTECTION="strong"`` has taken the user out of a session that a login made."""
    session = _session()
    if session is not None and session.owner is not None and "_user_id" not in session:
        _log_out(app)
