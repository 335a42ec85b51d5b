"""Flask: ``flask.session`` is the session of the middleware, the very object.

>>> app = Flask(__name__)
>>> FlaskSessions(app, store=RedisStore())

How this works. Flask opens a session before each request and saves it afterwards. Here opening
gives the object that the middleware has put into the ``environ``, and saving does nothing, because
the middleware commits. Only where no middleware is around, as in ``client.session_transaction()``,
``app.test_request_context()`` and the events of Flask-SocketIO, is a session opened and committed
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, Unpack

try:
    import flask
except ModuleNotFoundError as _error:
    if _error.name != "flask":
        raise
    raise ModuleNotFoundError(
        'wsgi_sessions.flask needs Flask: pip install "wsgi-sessions[flask]"', name="flask"
    ) from None
from flask.sessions import SessionInterface, SessionMixin

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.flask.configuration import ConfiguredMiddleware
from wsgi_sessions.flask.login import follow_flask_login
from wsgi_sessions.flask.outage import let_outages_leave
from wsgi_sessions.manager import (
    Options,
    SessionManager,
    Settings,
    StoreOrURL,
    document_options,
    settings_of,
    store_of,
)
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.session import is_open

__all__ = ["FlaskSessionInterface", "FlaskSessions"]

EXTENSION = "wsgi_sessions"


class FlaskSessions:
    """Gives Flask applications sessions that are kept in *store*.

    ``FlaskSessions(app, store=…)``, or in an application factory ``sessions.init_app(app)``.
    Without *store*, the environment's ``WSGI_SESSIONS_STORE`` is its URL, as for
    :class:`~wsgi_sessions.SessionMiddleware`.

    The cookie, its keys and the lifetime of permanent sessions are what ``app.config`` says, at
    the time of each request; *options* win over it. Both are checked when the application starts:
    :meth:`init_app` raises :exc:`~wsgi_sessions.ConfigurationError` or :exc:`TypeError`, by Flask's
    key. If the configuration is changed later to what cannot work, what worked before goes on, and
    an error is logged. ``app.extensions["wsgi_sessions"].manager`` is the manager.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        store: StoreOrURL | None = None,
        **options: Unpack[Options],
    ) -> None:
        settings = settings_of(options)
        self._store = None if store is None else store_of(store)
        self._options = options
        self._environ_key = settings.environ_key
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Wrap ``app.wsgi_app`` and make its session interface ours.

        A ``SESSION_COOKIE_SAMESITE`` of ``None``, Flask's default, becomes ``"Lax"``.
        """
        _check_application(app)
        if app.config["SESSION_COOKIE_SAMESITE"] is None:
            app.config["SESSION_COOKIE_SAMESITE"] = Settings.cookie_samesite
        middleware = ConfiguredMiddleware(app, self._store, self._options)
        middleware.start()
        app.extensions[EXTENSION] = middleware
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.session_interface = FlaskSessionInterface(self._environ_key)


document_options(FlaskSessions)


def _check_application(app: object) -> None:
    if not isinstance(app, flask.Flask):
        given = f"the class {app.__name__}" if isinstance(app, type) else type(app).__name__
        raise TypeError(
            f"the first argument is the Flask application, not {given}: "
            f"FlaskSessions(app, store=…); for other WSGI applications use SessionMiddleware"
        )


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

    For an application that is wrapped by hand::

        app.wsgi_app = SessionMiddleware(app.wsgi_app, store=RedisStore())
        app.session_interface = FlaskSessionInterface()

    The options are then the middleware's; Flask's configuration is not read.
    """

    null_session_class = NoSession  # type: ignore[assignment]

    def __init__(self, environ_key: str = Settings.environ_key) -> None:
        if not isinstance(environ_key, str):
            raise TypeError(
                f"environ_key is a {type(environ_key).__name__}, not a str: the store belongs into "
                f"FlaskSessions(app, store=…) or SessionMiddleware(app.wsgi_app, store=…)"
            )
        self._environ_key = environ_key
        self._follows_flask_login = False

    def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
        """The session of *request*. No I/O."""
        let_outages_leave(app)
        if not self._follows_flask_login and hasattr(app, "login_manager"):
            follow_flask_login()
            self._follows_flask_login = True
        session = request.environ.get(self._environ_key)
        if is_open(session):
            return session
        manager = _manager_of(app)
        if manager is None:
            return NoSession(_problem_of(app))
        return manager.open(request.environ.get("HTTP_COOKIE"), request.environ)

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Commit a session that no middleware commits, adding the headers to *response*. No server
        sends that one, so a failure of the store is raised."""
        if flask.request.environ.get(self._environ_key) is session:
            extension = app.extensions.get(EXTENSION)
            if isinstance(extension, ConfiguredMiddleware):
                extension.follow_lifetime()
            return
        manager = _manager_of(app)
        if manager is None:
            return
        response.headers.extend(manager.commit(session, secure=flask.request.is_secure))
        if session.accessed:
            response.vary.add("Cookie")


def _manager_of(app: flask.Flask) -> SessionManager | None:
    """That of the middleware around *app*, whatever other middleware is around it as well."""
    for layer in _layers(app.extensions.get(EXTENSION, app.wsgi_app)):
        if isinstance(layer, (SessionMiddleware, ConfiguredMiddleware)):
            return layer.manager
    return None


def _problem_of(app: flask.Flask) -> str:
    """Why the extension around *app* has no sessions to give; empty if there is no extension."""
    return str(getattr(app.extensions.get(EXTENSION), "problem", ""))


def _layers(outermost: object) -> Iterator[object]:
    """WSGI applications from the outside to the inside, as far as they show what they wrap."""
    layers, seen = [outermost], set()
    for layer in layers:
        if layer is not None and id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            layers += [getattr(layer, name, None) for name in ("app", "wsgi_app")]
