"""What the session interfaces that Flask-Session has are built on."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, Unpack
from weakref import WeakSet

import click
import flask

from wsgi_sessions.errors import ConfigurationError, StoreError
from wsgi_sessions.flask import FlaskSessionInterface, FlaskSessions
from wsgi_sessions.manager import Options, settings_of
from wsgi_sessions.migration import Reader
from wsgi_sessions.stores import Purgeable, Store

__all__ = [
    "PREFIX",
    "InterfaceOptions",
    "ServerSideSessionInterface",
    "check_options",
    "check_prefix",
    "warn",
]


class InterfaceOptions(Options, total=False):
    """What the interfaces take besides the :class:`~wsgi_sessions.Options`, by the names that it
    has in Flask-Session."""

    use_signer: bool
    """Whether Flask-Session signed its cookies, which are then read as such."""
    sid_length: int
    """The bytes of Flask-Session's session ids."""
    serialization_format: str
    """Without effect, with a warning where it is not ``"msgpack"``."""
    cleanup_n_requests: int | None
    """Remove expired sessions on average every so many requests."""
    allow_pickle: bool
    """Whether old sessions that are pickles are read."""


_OWN_OPTIONS = InterfaceOptions.__annotations__.keys() - Options.__annotations__.keys()

ReaderMaker = Callable[..., Reader]

PREFIX = "session:"
SID_LENGTH = 32
ONE_DAY = 86_400.0
HELP = "Remove the sessions that have expired."


class ServerSideSessionInterface(FlaskSessionInterface):
    """What all interfaces of this module have in common.

    Made with an application, it wraps ``app.wsgi_app`` at once. Made without one, as in
    ``app.session_interface = RedisSessionInterface(redis=Redis())``, it does so at the first
    request, and its sessions are not permanent and live for a day unless told otherwise.

    The sessions that Flask-Session left in the same place are migrated, unless
    ``migrate_from=None``; those that are pickles only with *allow_pickle*.
    """

    def __init__(
        self,
        app: flask.Flask | None,
        store: Store,
        reader: ReaderMaker | None,
        *,
        key_prefix: str = PREFIX,
        **given: Unpack[InterfaceOptions],
    ) -> None:
        super().__init__()
        check_options(given)
        options: Any = given
        sid_length = options.pop("sid_length", SID_LENGTH)
        serialization_format = options.pop("serialization_format", "msgpack")
        permanent = options.pop("permanent", None)
        if sid_length > SID_LENGTH:
            warn(f"SESSION_ID_LENGTH={sid_length}", f"ids and secrets have {SID_LENGTH} bytes")
        if serialization_format != "msgpack":
            warn(
                f"SESSION_SERIALIZATION_FORMAT={serialization_format!r}",
                "values keep their types; for a format of your own pass codec=… to Session()",
            )
        self._store = store
        self._purgeable = store if isinstance(store, Purgeable) else None
        self._cleanup_n_requests = options.pop("cleanup_n_requests", None)
        self._use_signer = options.pop("use_signer", False)
        allow_pickle = options.pop("allow_pickle", False)
        self._reader = reader and partial(
            reader, key_prefix=key_prefix, sid_length=sid_length, allow_pickle=allow_pickle
        )
        self._options: Options = options
        self._attached: WeakSet[flask.Flask] = WeakSet()
        self._lock = Lock()
        options.setdefault("permanent", app is not None if permanent is None else bool(permanent))
        if app is None:
            options.setdefault("lifetime", ONE_DAY)
        else:
            options.setdefault("lifetime", app.permanent_session_lifetime)
            self._attach(app)

    def open_session(self, app: flask.Flask, request: flask.Request) -> Any:
        """The session of *request*. No I/O, except for cleaning up occasionally."""
        if app not in self._attached:
            with self._lock:
                if app not in self._attached:
                    self._attach(app)
        if self._cleanup_n_requests and random.randrange(self._cleanup_n_requests) == 0:
            self._clean_up_some(app)
        return super().open_session(app, request)

    def regenerate(self, session: Any) -> None:
        """Give *session* a new secret; the old cookie is dead. Done when the request ends."""
        if session:
            session.regenerate()

    def _attach(self, app: flask.Flask) -> None:
        options: Options = {
            "migrate_from": self._old_sessions(app),
            **self._signed_by(app),
            **self._options,
        }
        FlaskSessions(app, self._store, **options)
        app.session_interface = self
        app.cli.add_command(click.Command("session_cleanup", help=HELP, callback=self._clean_up))
        self._attached.add(app)

    def _signed_by(self, app: flask.Flask) -> Options:
        """Flask-Session signs nothing unless it is told to, so that workers with a ``SECRET_KEY``
        each of its own share their sessions: here they sign with the key in the store."""
        if self._use_signer or getattr(self._store, "evicts", False):
            return {}
        return {"secret": None, "fallback_secrets": [app.secret_key] if app.secret_key else []}

    def _old_sessions(self, app: flask.Flask) -> Reader | None:
        """What reads the sessions that Flask-Session left."""
        secrets: tuple[Any, ...] = ()
        if self._use_signer:  # for ours it makes no difference: every cookie is signed
            if not app.secret_key:
                raise ConfigurationError("SESSION_USE_SIGNER needs SECRET_KEY, set before Session")
            secrets = (app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ()))
        if self._reader is None:
            return None
        return self._reader(
            secrets=secrets,
            cookie_name=app.config["SESSION_COOKIE_NAME"],
            lifetime=app.permanent_session_lifetime,
        )

    def _clean_up(self) -> None:
        removed = 0
        while self._purgeable is not None and (some := self._purgeable.purge()):
            removed += some
        click.echo(f"{removed} expired sessions were removed")

    def _clean_up_some(self, app: flask.Flask) -> None:
        """At most a thousand; this request waits for it."""
        try:
            if self._purgeable is not None:
                self._purgeable.purge()
        except StoreError:
            app.logger.warning("expired sessions could not be removed", exc_info=True)


def check_options(options: InterfaceOptions) -> None:
    """Raise for a misspelt or impossible option here, and not by a request."""
    ours: Any = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
    if ours.get("permanent", False) is None:  # as if it was not given
        del ours["permanent"]
    settings_of(ours)


def warn(key: str, remedy: str) -> None:
    warnings.warn(f"{key} has no effect: {remedy}", UserWarning, stacklevel=2)


def check_prefix(prefix: str, key: str) -> None:
    if prefix != PREFIX:
        warn(f"SESSION_KEY_PREFIX={prefix!r}", f"keep applications apart by {key}")
