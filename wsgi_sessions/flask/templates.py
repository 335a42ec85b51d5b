"""``session.name`` in a template of Jinja's is the key *name*, as with Flask's own session.

How this works. Jinja takes an attribute for a key, and the other way round, where there is no such
key or attribute. Flask's session has the attributes of a dict and a few more; ours has many: with
``{% if session.login %}`` the method would take the place of a key that is missing, and
``{{ session.sid }}`` would show the secret. So the template environment is given which attributes
of a session a template finds.
"""

from __future__ import annotations

from typing import Any

import flask
from flask.sessions import SecureCookieSession

from wsgi_sessions.flask.session import FlaskSession

__all__ = ["prefer_keys"]

_MARK = "wsgi_sessions.templates"
_OF_FLASK = frozenset(dir(SecureCookieSession))
_SHOWN = frozenset({"owner", "device", "created_at", "last_seen", "lifetime", "expires_at"})
"""What this library adds and a page may show, where no key has the name."""


def prefer_keys(app: flask.Flask) -> None:
    """Let the templates of *app* find the keys of its session. Once is enough, again does
    nothing."""
    if _MARK in app.extensions:
        return
    app.extensions[_MARK] = True
    environment = app.jinja_env
    of_attribute, of_item = environment.getattr, environment.getitem

    def find_attribute(obj: Any, name: str) -> Any:
        if isinstance(obj, FlaskSession) and not _has(obj, name):
            return find_item(obj, name)
        return of_attribute(obj, name)

    def find_item(obj: Any, name: Any) -> Any:
        of_session = isinstance(obj, FlaskSession) and isinstance(name, str)
        if not of_session or name in obj or name in _SHOWN or _has(obj, name):
            return of_item(obj, name)
        return environment.undefined(obj=obj, name=name)

    environment.getattr = find_attribute  # type: ignore[method-assign, assignment]
    environment.getitem = find_item  # type: ignore[method-assign, assignment]


def _has(session: FlaskSession, name: str) -> bool:
    """Whether it has this attribute as Flask's own session would."""
    return name in _OF_FLASK or name in vars(session)
