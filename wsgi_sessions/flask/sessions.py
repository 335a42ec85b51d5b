"""Flask: ``flask.session`` is the session of the middleware, the very object.

.. code:: python

    from flask import Flask
    from wsgi_sessions.flask import FlaskSessions

    app = Flask(__name__)
    FlaskSessions(app, store="redis://localhost")
"""

from __future__ import annotations

from typing import Unpack

import flask

from wsgi_sessions.flask.commands import add_commands
from wsgi_sessions.flask.configuration import EXTENSION, Configured, ConfiguredMiddleware
from wsgi_sessions.flask.interface import FlaskSessionInterface
from wsgi_sessions.manager import (
    Options,
    Settings,
    StoreOrURL,
    document_options,
    settings_of,
    store_of,
)

__all__ = ["FlaskSessions"]


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

        ``flask sessions`` gets the commands of ``wsgi-sessions`` for these sessions.
        A ``SESSION_COOKIE_SAMESITE`` of ``None``, Flask's default, becomes ``"Lax"``.
        """
        _check_application(app)
        if app.config["SESSION_COOKIE_SAMESITE"] is None:
            app.config["SESSION_COOKIE_SAMESITE"] = Settings.cookie_samesite
        # Before the start, which asks the interface: the application's own may need a request.
        app.session_interface = FlaskSessionInterface(self._environ_key)
        middleware = ConfiguredMiddleware(Configured(app, self._store, self._options))
        middleware.configured.start()
        app.extensions[EXTENSION] = middleware
        add_commands(app, middleware)
        app.wsgi_app = middleware  # type: ignore[method-assign]


document_options(FlaskSessions)


def _check_application(app: object) -> None:
    if not isinstance(app, flask.Flask):
        given = f"the class {app.__name__}" if isinstance(app, type) else type(app).__name__
        raise TypeError(
            f"the first argument is the Flask application, not {given}: "
            f"FlaskSessions(app, store=…); for other WSGI applications use SessionMiddleware"
        )
