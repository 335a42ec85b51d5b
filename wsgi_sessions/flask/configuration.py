"""The middleware by what the configuration of a Flask application says.

How this works. Flask reads its configuration when a request needs it, so applications and their
tests set it at any time. What it says when the application starts has to work, or
:meth:`Configured.start` raises, by the name of Flask's key. What it says later is looked at by each
request: if it has changed, there is a new middleware; if that cannot work, the one before goes on,
and an error is logged once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from secrets import token_hex
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
from flask.sessions import SessionInterface

from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.manager import Options, SessionManager, Settings, renamed_options, settings_of
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.session import Session
from wsgi_sessions.stores import Store

__all__ = [
    "EXTENSION",
    "FRESH_KEYS",
    "LOGIN_KEYS",
    "ConfiguredMiddleware",
    "configured_options",
    "overridden",
]

EXTENSION = "wsgi_sessions"

KEYS = {
    "secret": "SECRET_KEY",
    "fallback_secrets": "SECRET_KEY_FALLBACKS",
    "lifetime": "PERMANENT_SESSION_LIFETIME",
    "permanent_lifetime": "PERMANENT_SESSION_LIFETIME",
    "absolute_lifetime": "PERMANENT_SESSION_LIFETIME",
    "cookie_name": "SESSION_COOKIE_NAME",
    "cookie_domain": "SESSION_COOKIE_DOMAIN",
    "cookie_path": "SESSION_COOKIE_PATH",
    "cookie_httponly": "SESSION_COOKIE_HTTPONLY",
    "cookie_secure": "SESSION_COOKIE_SECURE",
    "cookie_samesite": "SESSION_COOKIE_SAMESITE",
    "cookie_partitioned": "SESSION_COOKIE_PARTITIONED",
    "renews": "SESSION_REFRESH_EACH_REQUEST",
}
"""The options that Flask has a key for."""

LOGIN_KEYS = ("_user_id", "user_id", "user.itemid")
"""What Flask-Login keeps the user under, Flask's own tutorial, and MoinMoin."""

FRESH_KEYS = ("_fresh",)
"""Flask-Login's, that the user has just proved who he is."""

MERGE_KEYS = ("_flashes", "gridData")
"""Messages of overlapping requests are all shown; and pgAdmin's query tools, a dict with an entry
for each tab."""

_LIFETIME = "PERMANENT_SESSION_LIFETIME"
_CONFIGURATION = tuple(dict.fromkeys((_LIFETIME, *KEYS.values(), "APPLICATION_ROOT")))
_all_of: Callable[[Any], tuple[Any, ...]] = itemgetter(*_CONFIGURATION)

_log = logging.getLogger("wsgi_sessions")


class ConfiguredMiddleware:
    """:class:`SessionMiddleware` as it is *configured* now."""

    def __init__(self, configured: Configured) -> None:
        self.app: WSGIApplication = configured.app
        self.configured: Configured = configured

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        middleware = self.configured.now()
        return (self.app if middleware is None else middleware)(environ, start_response)

    @property
    def manager(self) -> SessionManager | None:
        """The one of now; ``None`` if there was none that could work."""
        middleware = self.configured.now()
        return None if middleware is None else middleware.manager

    @property
    def problem(self) -> str:
        """Why there are no sessions, if there are none."""
        return self.configured.problem

    def __getattr__(self, name: str) -> Any:
        """What ``app.wsgi_app`` was keeps its attributes for the application. (A class that has
        this method takes 500 instructions for each attribute of its own, so this one has few.)"""
        if name.startswith("__") or "app" not in vars(self):
            raise AttributeError(name)
        return getattr(self.app, name)


class Configured:
    """The middleware that the configuration of *app* amounts to. *options* win over it."""

    def __init__(
        self,
        app: flask.Flask,
        store: Store | CookieStore | None,
        options: Options,
    ) -> None:
        self.app: WSGIApplication = app.wsgi_app
        self._flask = app
        self._config = app.config
        self._store = store
        self._options = options
        self._middleware: SessionMiddleware | None = None
        self._seen: tuple[object, ...] = ()
        self._interface: type[SessionInterface] | None = None
        self._overridden: tuple[str, ...] = ()
        self.problem: str = ""
        """Why there are no sessions, if there are none."""

    def start(self) -> None:
        """Raise :exc:`TypeError` or :exc:`~wsgi_sessions.ConfigurationError` for what the
        configuration says wrongly; no more than a key that is missing may be set later."""
        self._seen = tuple(map(_copied, self._said()))
        try:
            self._middleware = self._built()
        except ConfigurationError as error:
            if self._config["SECRET_KEY"] or "secret" in self._options:
                raise
            self._built(secret=token_hex())  # everything else works
            self.problem = str(error)

    def now(self) -> SessionMiddleware | None:
        """``None`` if there was none that could work."""
        said = self._said()
        if said != self._seen:
            before, self._seen = self._seen, tuple(map(_copied, said))  # refused ones too, once
            self._change(lifetimes_only=said[1:] == before[1:])
        return self._middleware

    def _change(self, *, lifetimes_only: bool) -> None:
        try:
            if self._middleware is None:
                self._middleware = self._built()
            elif lifetimes_only:
                self._middleware.manager.adopt_lifetimes(self._lifetimes())
            else:  # requests in flight go on by it too
                self._middleware.manager = self._built().manager
        except (TypeError, ValueError) as error:
            self.problem = str(error)
            message = "the configuration was changed, and cannot work: %s; what was before goes on"
            _log.error(message, error)

    def _said(self) -> tuple[Any, ...]:
        try:
            said = _all_of(self._config)  # in one call: it is asked in each request
        except KeyError:
            said = tuple(map(self._config.get, _CONFIGURATION))
        kind = type(self._flask.session_interface)
        if kind is not self._interface:
            self._interface, self._overridden = kind, overridden(kind)
        return (*said, *self._asked().values()) if self._overridden else said

    def _asked(self) -> Options:
        """What a session interface of the application's says of the cookie."""
        interface = self._flask.session_interface
        return {  # type: ignore[return-value]  # what is no option has no method
            option: getattr(interface, f"get_{option}")(self._flask) for option in self._overridden
        }

    def _built(self, **options: Any) -> SessionMiddleware:
        with self._by_the_names_of_flask():
            options |= self._all_options()
            middleware = SessionMiddleware(self.app, self._store, **options)
        middleware.manager.adopt_login_keys(LOGIN_KEYS, FRESH_KEYS)
        return middleware

    def _lifetimes(self) -> Settings:
        with self._by_the_names_of_flask():
            return settings_of(self._all_options())

    def _all_options(self) -> Options:
        options = configured_options(self._config)
        options.update(self._asked())
        options.update(self._options)
        options["merge_keys"] = (*MERGE_KEYS, *options.get("merge_keys", ()))
        if "login_keys" in options or "fresh_keys" in options:
            options = {"login_keys": LOGIN_KEYS, "fresh_keys": FRESH_KEYS, **options}
        if not self._config["SESSION_REFRESH_EACH_REQUEST"]:
            options.setdefault("renews", _writes_to(options.get("environ_key")))
        return options

    @contextmanager
    def _by_the_names_of_flask(self) -> Iterator[None]:
        """An error about an option names Flask's key, where the option comes from there."""
        names = {option: key for option, key in KEYS.items() if option not in self._options}
        config = self._config
        if not config["SESSION_COOKIE_PATH"] and config["APPLICATION_ROOT"] != "/":
            names = {
                option: "APPLICATION_ROOT" if option == "cookie_path" else key
                for option, key in names.items()
            }
        with renamed_options(names):
            yield


def overridden(interface: type[SessionInterface]) -> tuple[str, ...]:
    """The options of the cookie for which *interface* overrides Flask's ``get_…``."""
    return tuple(
        option
        for option in KEYS
        if getattr(interface, f"get_{option}", None)
        is not getattr(SessionInterface, f"get_{option}", None)
    )


def configured_options(config: flask.Config) -> Options:
    """The options that the configuration of a Flask application amounts to.

    To Flask, ``PERMANENT_SESSION_LIFETIME`` bounds every session and nothing bounds those that
    are used: so it caps our idle lifetime and, if it is the longer one, is the absolute one.
    """
    permanent = settings_of(
        {"permanent_lifetime": config["PERMANENT_SESSION_LIFETIME"]}
    ).permanent_lifetime
    options: Options = {
        "permanent_lifetime": permanent,
        "lifetime": min(Settings.lifetime, permanent),
        "absolute_lifetime": max(Settings.absolute_lifetime or permanent, permanent),
        "cookie_name": config["SESSION_COOKIE_NAME"],
        "cookie_domain": config["SESSION_COOKIE_DOMAIN"] or None,
        "cookie_path": config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"] or "/",
        "cookie_httponly": _flag(config["SESSION_COOKIE_HTTPONLY"]),
        "cookie_secure": _flag(config["SESSION_COOKIE_SECURE"]) or None,
        "cookie_samesite": config["SESSION_COOKIE_SAMESITE"],
        "cookie_partitioned": _flag(config.get("SESSION_COOKIE_PARTITIONED")),
    }
    if config["SECRET_KEY"]:
        options["secret"] = config["SECRET_KEY"]
    if config.get("SECRET_KEY_FALLBACKS"):
        options["fallback_secrets"] = config["SECRET_KEY_FALLBACKS"]
    return options


def _writes_to(environ_key: str | None) -> Callable[[dict[str, Any]], bool]:
    """What ``SESSION_REFRESH_EACH_REQUEST = False`` means: only a request that changes something
    prolongs the session."""
    key = environ_key or Settings.environ_key

    def writes(environ: dict[str, Any]) -> bool:
        session = environ.get(key)
        return not isinstance(session, Session) or session.modified

    return writes


def _flag(value: Any) -> Any:
    """Flask takes 0, 1 and ``None`` as well; a text such as ``"false"`` is a mistake."""
    return bool(value) if value is None or isinstance(value, int) else value


def _copied(value: object) -> object:
    """As it is now, if it is a list that may be changed in place."""
    return [*value] if isinstance(value, list) else value
