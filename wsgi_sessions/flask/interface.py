"""Flask's session interface: ``flask.session`` is the session of the middleware, the very object.

How this works. Flask opens a session before each request and saves it afterwards. Here opening
gives the object that the middleware has put into the ``environ``, and saving does nothing, because
the middleware commits; but a subclass that decides otherwise is asked. Only where no middleware is
around, as in ``client.session_transaction()``, ``app.test_request_context()`` and the events of
Flask-SocketIO, is a session opened and committed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import flask
from flask.sessions import SessionInterface, SessionMixin

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.flask.configuration import (
    EXTENSION,
    FRESH_KEYS,
    LOGIN_KEYS,
    ConfiguredMiddleware,
    overridden,
)
from wsgi_sessions.flask.outage import let_outages_leave
from wsgi_sessions.flask.session import FlaskSession
from wsgi_sessions.flask.templates import prefer_keys
from wsgi_sessions.manager import SessionManager, Settings, adopt_login_keys, layers_of
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.session import Session, is_open

__all__ = ["FlaskSessionInterface"]

_SAVED = "saved_by_flask"
"""The attribute of a session that says that ``save_session`` has been called for it."""
_OPENED = "opened_by_flask"
"""The attribute of a session that no middleware commits."""


class NoSession(SessionMixin):
    """Stands for the session where nobody provides one; says so when it is used."""

    def __init__(self, problem: str = "") -> None:
        self._problem = problem

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(
            self._problem
            or "flask.session has no store: write FlaskSessions(app, store=…), or wrap the "
            "application by app.wsgi_app = SessionMiddleware(app.wsgi_app, store=…)"
        )

    def __getitem__(self, key: str) -> NoReturn:
        self._refuse()

    def __setitem__(self, key: str, value: Any) -> NoReturn:
        self._refuse()

    def __delitem__(self, key: str) -> NoReturn:
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __len__(self) -> NoReturn:
        self._refuse()


class FlaskSessionInterface(SessionInterface):
    """Makes ``flask.session`` the session in ``environ[environ_key]``.

    For an application that is wrapped by hand:

    .. code:: python

        from flask import Flask
        from wsgi_sessions import SessionMiddleware
        from wsgi_sessions.flask import FlaskSessionInterface

        app = Flask(__name__)
        app.wsgi_app = SessionMiddleware(app.wsgi_app, store="redis://localhost")
        app.session_interface = FlaskSessionInterface()

    The options are then the middleware's; Flask's configuration is not read. A subclass may
    override ``save_session``, where a session is saved only if it calls this one, and
    ``should_set_cookie``; with :class:`FlaskSessions` ``get_cookie_name`` and the like too.
    """

    null_session_class = NoSession  # type: ignore[assignment]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "save_session" in vars(cls):
            cls.save_session = _asked(cls.save_session)  # type: ignore[method-assign]

    def __init__(self, environ_key: str = Settings.environ_key) -> None:
        if not isinstance(environ_key, str):
            raise TypeError(
                f"environ_key is a {type(environ_key).__name__}, not a str: the store belongs into "
                f"FlaskSessions(app, store=…) or SessionMiddleware(app.wsgi_app, store=…)"
            )
        self._environ_key = environ_key
        self._prepared: flask.Flask | None = None
        self._is_guest = False
        """Whether the middleware is around an application that is around this one."""

    def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
        """The session of *request*. No I/O."""
        if self._prepared is not app:
            self._prepare(app)
        session: Any = request.environ.get(self._environ_key)
        if not is_open(session):
            manager = _manager_of(app)
            if manager is None:
                return NoSession(_problem_of(app))
            session = manager.open(request.environ.get("HTTP_COOKIE"), request.environ)
            setattr(session, _OPENED, True)
        elif self._is_guest:
            adopt_login_keys(session, LOGIN_KEYS, FRESH_KEYS)
        session.__class__ = FlaskSession
        return session

    def is_null_session(self, obj: object) -> bool:
        """Whether there is nothing to save, and nobody to be asked."""
        # By the type first: what a session is an instance of takes 2,500 instructions.
        return type(obj) is not FlaskSession and super().is_null_session(obj)

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Commit a session that no middleware commits, adding the headers to *response*. No server
        sends that one, so a failure of the store is raised."""
        if type(session) is not FlaskSession and not isinstance(session, Session):
            return
        if not session.accessed:  # most requests: nothing to save, and no cookie to set
            return
        setattr(session, _SAVED, True)
        if self._keeps_cookie(app, session):
            session.rollback()
        manager = _manager_of(app)  # asked always: the request may have changed the configuration
        if manager is None or not hasattr(session, _OPENED):
            return
        response.headers.extend(manager.commit(session, secure=flask.request.is_secure))
        if session.accessed:
            response.vary.add("Cookie")

    def _keeps_cookie(self, app: flask.Flask, session: Session) -> bool:
        """Whether a subclass says that this response sets no cookie: then nothing is saved. It is
        not asked about a logout, as Flask does not ask."""
        overrides = type(self).should_set_cookie is not SessionInterface.should_set_cookie
        if not overrides or not session.modified or not session:
            return False
        return not self.should_set_cookie(app, session)  # type: ignore[arg-type]

    def _prepare(self, app: flask.Flask) -> None:
        """Once for each application."""
        let_outages_leave(app)
        prefer_keys(app)
        by_hand = not isinstance(app.extensions.get(EXTENSION), ConfiguredMiddleware)
        options = overridden(type(self))
        if by_hand and options:
            names = [f"get_{option}" for option in options]
            raise ConfigurationError(
                f"{type(self).__name__} overrides {', '.join(names)}, which SessionMiddleware does "
                f"not ask: give it the options cookie_name, cookie_domain, …, or use FlaskSessions"
            )
        manager = _manager_of(app)
        if by_hand and manager is not None:
            manager.adopt_login_keys(LOGIN_KEYS, FRESH_KEYS)
        self._is_guest = manager is None
        self._prepared = app


def _asked(save_session: Callable[..., Any]) -> Callable[..., Any]:
    """*save_session* of a subclass, after which nothing is saved unless it has called ours."""

    @wraps(save_session)
    def asked(self: Any, app: flask.Flask, session: Any, response: flask.Response) -> Any:
        result = save_session(self, app, session, response)
        if isinstance(session, Session) and not getattr(session, _SAVED, False):
            session.rollback()
        return result

    return asked


def _manager_of(app: flask.Flask) -> SessionManager | None:
    """That of the middleware around *app*, whatever other middleware is around it as well."""
    extension = app.extensions.get(EXTENSION)
    if type(extension) is ConfiguredMiddleware:  # nearly always
        return extension.manager
    for layer in layers_of(extension or app.wsgi_app):
        if isinstance(layer, (SessionMiddleware, ConfiguredMiddleware)):
            return layer.manager
    return None


def _problem_of(app: flask.Flask) -> str:
    """Why the extension around *app* has no sessions to give; empty if there is no extension."""
    return str(getattr(app.extensions.get(EXTENSION), "problem", ""))
