"""The middleware by Beaker's options, with ``environ["beaker.session"]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from wsgi_sessions import middleware
from wsgi_sessions.beaker.configuration import Configuration
from wsgi_sessions.beaker.session import BeakerSession
from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.manager import SessionManager, Settings, StoreOrURL, check_application

__all__ = ["SessionMiddleware", "session_filter_app_factory"]


class SessionMiddleware:
    """Gives *wrap_app* its session in ``environ["beaker.session"]``, and in ``"wsgi.session"``.

    *config* holds Beaker's options with ``session.`` before their names, among whatever else;
    *options* are the same without it. ``session.type`` and what belongs to it name the place of
    the sessions, unless *store*, or ``session.store``, a URL, does. The options of
    :class:`wsgi_sessions.SessionMiddleware` may stand among them. Live sessions of Beaker in the
    place that the options name are migrated.

    Raises :exc:`TypeError` and :exc:`~wsgi_sessions.ConfigurationError`, by the option's name. No
    I/O.
    """

    def __init__(
        self,
        wrap_app: WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = "beaker.session",
        store: StoreOrURL | None = None,
        **options: Any,
    ) -> None:
        check_application(wrap_app)
        configuration = Configuration(config or {}, options)
        kept = configuration.store() if store is None else store
        ours = configuration.options(keeps_records=not isinstance(kept, CookieStore))
        self.app: WSGIApplication = wrap_app
        self.wrap_app: WSGIApplication = wrap_app
        self.environ_key = environ_key
        self._variable = configuration.variable
        self._middleware = middleware.SessionMiddleware(self._attached, kept, **ours)

    @property
    def manager(self) -> SessionManager:
        """The manager of these sessions."""
        return self._middleware.manager

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._middleware(environ, start_response)

    def _attached(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ[Settings.environ_key]
        session.__class__ = BeakerSession
        environ[self.environ_key] = session
        if self._variable is not None and "paste.testing_variables" in environ:
            environ["paste.testing_variables"][self._variable] = session
        return self.wrap_app(environ, start_response)


def session_filter_app_factory(
    app: WSGIApplication, global_conf: Mapping[str, Any], **options: Any
) -> SessionMiddleware:
    """The filter for ini files of Paste: ``paste.filter_app_factory =
    wsgi_sessions.beaker:session_filter_app_factory``."""
    return SessionMiddleware(app, global_conf, **options)
