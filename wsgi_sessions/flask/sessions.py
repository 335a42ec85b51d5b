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

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NoReturn, cast
from wsgiref.types import StartResponse, WSGIEnvironment

try:
    import flask
except ModuleNotFoundError as error:
    if error.name != "flask":
        raise
    raise ModuleNotFoundError(
        'wsgi_sessions.flask needs Flask: pip install "wsgi-sessions[flask]"', name="flask"
    ) from None
from flask.sessions import SessionInterface, SessionMixin

from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.flask.login import follow_flask_login
from wsgi_sessions.flask.outage import let_outages_leave
from wsgi_sessions.manager import Options, SessionManager
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.session import is_open
from wsgi_sessions.stores import Store, open_store

__all__ = ["FlaskSessionInterface", "FlaskSessions"]

EXTENSION = "wsgi_sessions"
_CONFIGURATION = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "PERMANENT_SESSION_LIFETIME",
    "APPLICATION_ROOT",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_PATH",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_PARTITIONED",
)


class FlaskSessions:
    """Gives Flask applications sessions that are kept in *store*.

    ``FlaskSessions(app, store=…)``, or in an application factory ``sessions.init_app(app)``.
    Without *store*, the environment's ``WSGI_SESSIONS_STORE`` is its URL, as for
    :class:`~wsgi_sessions.SessionMiddleware`.

    The cookie, its keys and the lifetime of permanent sessions are what ``app.config`` says, at
    the time of each request. *options* are those of :class:`~wsgi_sessions.SessionManager`; they
    win over the configuration. ``app.extensions["wsgi_sessions"].manager`` is the manager.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        store: Store | CookieStore | None = None,
        **options: Any,
    ) -> None:
        Options(**options)  # a misspelt or impossible option is refused here, not by a request
        self._store = store
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Wrap ``app.wsgi_app`` and make its session interface ours.

        A ``SESSION_COOKIE_SAMESITE`` of ``None``, Flask's default, becomes ``"Lax"``.
        """
        if app.config["SESSION_COOKIE_SAMESITE"] is None:
            app.config["SESSION_COOKIE_SAMESITE"] = Options.cookie_samesite
        store = self._store
        if store is None:
            store = open_store(None)
        middleware = ConfiguredMiddleware(app, store, self._options)
        app.extensions[EXTENSION] = middleware
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.session_interface = FlaskSessionInterface(
            self._options.get("environ_key", Options.environ_key)
        )


class ConfiguredMiddleware:
    """:class:`SessionMiddleware` around *app*, by what the configuration says now.

    Flask reads its configuration when a request needs it, so applications and their tests set it
    at any time.
    """

    def __init__(
        self, app: flask.Flask, store: Store | CookieStore, options: dict[str, Any]
    ) -> None:
        self.app = app.wsgi_app
        self._config = app.config
        self._store = store
        self._options = options
        self._built: tuple[tuple[object, ...], SessionMiddleware] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._middleware()(environ, start_response)

    @property
    def manager(self) -> SessionManager:
        return self._middleware().manager

    def _middleware(self) -> SessionMiddleware:
        configured = tuple(map(self._config.get, _CONFIGURATION))
        built = self._built
        if built is None or built[0] != configured:
            options = _options(self._config) | self._options
            built = configured, SessionMiddleware(self.app, self._store, **options)
            self._built = built
        return built[1]


def _options(config: flask.Config) -> dict[str, Any]:
    """The options that the configuration of a Flask application amounts to.

    To Flask, ``PERMANENT_SESSION_LIFETIME`` bounds every session and nothing bounds those that
    are used: so it caps our idle lifetime and, if it is the longer one, is the absolute one.
    """
    permanent = config["PERMANENT_SESSION_LIFETIME"]
    if isinstance(permanent, timedelta):
        permanent = permanent.total_seconds()
    return {
        "secret": config["SECRET_KEY"] or None,
        "fallback_secrets": config.get("SECRET_KEY_FALLBACKS") or (),
        "permanent_lifetime": permanent,
        "lifetime": min(cast(float, Options.lifetime), permanent),
        "absolute_lifetime": max(cast(float, Options.absolute_lifetime), permanent),
        "cookie_name": config["SESSION_COOKIE_NAME"],
        "cookie_domain": config["SESSION_COOKIE_DOMAIN"] or None,
        "cookie_path": config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"] or "/",
        "cookie_httponly": bool(config["SESSION_COOKIE_HTTPONLY"]),
        "cookie_secure": config["SESSION_COOKIE_SECURE"] or None,
        "cookie_samesite": config["SESSION_COOKIE_SAMESITE"],
        "cookie_partitioned": bool(config.get("SESSION_COOKIE_PARTITIONED")),
    }


class NoSession(SessionMixin):
    """Stands for the session where nobody provides one; says so when it is used."""

    def _refuse(self, *_arguments: object) -> NoReturn:
        raise ConfigurationError(
            "flask.session has no store: write FlaskSessions(app, store=…), or wrap the "
            "application by app.wsgi_app = SessionMiddleware(app.wsgi_app, store=…)"
        )

    __getitem__ = __setitem__ = __delitem__ = __iter__ = __len__ = _refuse


class FlaskSessionInterface(SessionInterface):
    """Makes ``flask.session`` the session in ``environ[environ_key]``.

    For an application that is wrapped by hand::

        app.wsgi_app = SessionMiddleware(app.wsgi_app, store=RedisStore())
        app.session_interface = FlaskSessionInterface()

    The options are then the middleware's; Flask's configuration is not read.
    """

    null_session_class = NoSession  # type: ignore[assignment]

    def __init__(self, environ_key: str = Options.environ_key) -> None:
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
            return NoSession()
        return manager.open(request.environ.get("HTTP_COOKIE"), request.environ)

    def save_session(self, app: flask.Flask, session: Any, response: flask.Response) -> None:
        """Commit a session that no middleware commits, adding the headers to *response*. No server
        sends that one, so a failure of the store is raised."""
        if flask.request.environ.get(self._environ_key) is session:
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


def _layers(outermost: object) -> Iterator[object]:
    """WSGI applications from the outside to the inside, as far as they show what they wrap."""
    layers, seen = [outermost], set()
    for layer in layers:
        if layer is not None and id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            layers += [getattr(layer, name, None) for name in ("app", "wsgi_app")]
