"""Logging in without the login page, and looking into a session from outside."""

from __future__ import annotations

import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import SessionManager, layers_of
from wsgi_sessions.session import Session

__all__ = ["logged_in", "manager_of", "session_of"]


def logged_in(app: object, owner: str, **values: Any) -> str:
    """Store a new session of *owner* with *values*; the ``Cookie`` header, ``name=value``, of a
    browser that is logged in.

    *app* is what :func:`manager_of` takes. Where a login key is configured, as in Flask, and none
    is among *values*, the first gets *owner*; give it yourself where your application keeps
    something else there than text: ``logged_in(app, "7", user_id=7)``. Raises :exc:`ValueError` if
    the login keys name somebody else than *owner*, and what :meth:`Session.save` and
    :meth:`Session.login` raise. Two round trips.
    """
    manager = manager_of(app)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    session = manager.open(None, environ)
    login_keys = manager.options.login_keys
    if login_keys and not any(key in values for key in login_keys):
        session[login_keys[0]] = owner
    session.update(values)
    named = session.owner
    if named not in (None, owner):
        keys = ", ".join(key for key in login_keys if key in session)
        raise ValueError(f"what is put under {keys} names another owner than the one given")
    session.login(owner)
    [(_, set_cookie)] = manager.commit(session)
    manager.close(session)
    return set_cookie.partition(";")[0]


def session_of(app: object, cookie: str) -> Session:
    """The session that *cookie* opens: as the application would see it in its next request, and
    empty if it opens none. Changes are stored by :meth:`Session.save` only.

    *app* is what :func:`manager_of` takes, *cookie* a ``Cookie`` header, a ``Set-Cookie`` of a
    response, or the value alone. One round trip when it is looked at.
    """
    manager = manager_of(app)
    header = cookie if "=" in cookie else f"{manager.options.cookie_name}={cookie}"
    environ: dict[str, Any] = {"HTTP_COOKIE": header}
    setup_testing_defaults(environ)
    return manager.open(header, environ)


def manager_of(app: object) -> SessionManager:
    """The manager of the sessions of *app*: a Flask or Pyramid application, a middleware, what is
    wrapped around one and keeps it as ``app``, ``application`` or ``wsgi_app`` (a test client of
    WebTest or Flask too), what has one as ``manager``, or the manager itself; of a Django project
    that is ``wsgi_sessions.django.session_manager()``.

    Raises :exc:`~wsgi_sessions.ConfigurationError` where none is found.
    """
    problem = ""
    extensions = getattr(app, "extensions", None)  # Flask's, for layers that show nothing
    extension = extensions.get("wsgi_sessions") if isinstance(extensions, dict) else None
    for layer in layers_of(app, extension):
        for found in (layer, _pyramids(layer)):
            manager = getattr(found, "manager", found)
            if isinstance(manager, SessionManager):
                return manager
        problem = problem or str(getattr(layer, "problem", ""))
    raise ConfigurationError(
        problem
        or f"no sessions are found around this {type(app).__name__}: hand in the SessionMiddleware "
        f"or the SessionManager itself"
    )


def _pyramids(router: object) -> Any:
    """The session factory of a Pyramid application; ``None`` for what is none."""
    interfaces, registry = sys.modules.get("pyramid.interfaces"), getattr(router, "registry", None)
    query = getattr(registry, "queryUtility", None)
    return None if interfaces is None or query is None else query(interfaces.ISessionFactory)
