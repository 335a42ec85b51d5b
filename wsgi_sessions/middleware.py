"""The WSGI middleware.

How this works. The application's ``start_response`` is only recorded. When nothing more can be
changed before the headers (the application has returned and has started its response, or gives
its first chunk, or calls ``write``), the session is committed and the recorded headers are
forwarded with ours. If the commit fails, a 503 goes out instead. What the application changes later
is saved when the server closes the response.

Rules for whoever edits this: PEP 3333 binds both sides. The application's header list is never
changed, its iterable is closed exactly once, nothing is added per chunk, and a body that cannot
run any more code of the application (a list, a tuple, the server's file wrapper) is returned
as it is, so that servers keep ``sendfile`` and ``Content-Length``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from wsgi_sessions.cookie import CookieStore, Headers, personal, setting_cookie
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.session import OVER, SENT, Session
from wsgi_sessions.stores import Store, open_store

__all__ = ["SessionMiddleware"]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]

DEFAULT_STORE = "sqlite:///wsgi-sessions.db"
_UNAVAILABLE = b"Service Unavailable\n"
_is_loopback = lru_cache(64)(
    re.compile(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?").fullmatch
)
_END = object()


class SessionMiddleware:
    """Gives *app* a session in ``environ["wsgi.session"]``, kept in *store*.

    Without *store*, the environment's ``WSGI_SESSIONS_STORE`` is its URL, by default that of an
    SQLite file in the working directory. The options are those of
    :class:`~wsgi_sessions.SessionManager`. A request that does not touch its session costs no
    store call and no header. Inside another middleware of the same ``environ_key``, the session of
    the outer one is used.
    """

    def __init__(
        self, app: WSGIApplication, store: Store | CookieStore | None = None, **options: Any
    ) -> None:
        self.app = app
        if store is None:
            store = open_store(os.environ.get("WSGI_SESSIONS_STORE", DEFAULT_STORE))
        self.manager = SessionManager(store, **options)
        self._environ_key = self.manager.options.environ_key
        self._warned: set[str] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        outer = environ.get(self._environ_key)
        if outer is not None and _is_open(outer):
            return self.app(environ, start_response)
        session = Session(self.manager, environ.get("HTTP_COOKIE", ""))
        environ[self._environ_key] = session
        response = _Response(self, session, environ, start_response)
        return response.send(self.app(environ, response.start))

    def _check_transport(self, environ: WSGIEnvironment) -> None:
        host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
        if self.manager.options.cookie_secure is None and not _is_loopback(host):
            self._warn_once(
                "a session cookie was sent over plain http: serve https and set cookie_secure=True "
                "(behind a proxy, let the server know the scheme)"
            )

    def _overridden(self, what: str) -> None:
        self._warn_once(f"the session's cookie is being set, which overrides {what}")

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self.manager.log.warning(message)


class _Response:
    """One response on its way from the application to the server."""

    __slots__ = (
        "_environ",
        "_headers",
        "_middleware",
        "_server",
        "_server_write",
        "_session",
        "_status",
        "failed",
        "sent",
    )

    def __init__(
        self,
        middleware: SessionMiddleware,
        session: Session,
        environ: WSGIEnvironment,
        server: StartResponse,
    ) -> None:
        self._middleware = middleware
        self._session = session
        self._environ = environ
        self._server = server
        self._status = ""
        self._headers: Headers
        self.sent = self.failed = False

    # What the application sees

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        """PEP 3333 ``start_response``, recorded."""
        if exc_info is not None:
            try:
                if self.sent:
                    # Too late for another response: the server raises what the application caught.
                    return self._server(status, headers, exc_info)
            finally:
                exc_info = None
        elif self._status:
            raise AssertionError("start_response was called a second time without exc_info")
        self._status, self._headers = status, headers
        return self._write

    def _write(self, data: bytes) -> None:
        if not self.sent:
            self.commit()
            if self.failed:
                self._server_write(self._apology())
        if not self.failed:
            self._server_write(data)

    # Towards the server

    def send(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """What the server gets for the application's *body*."""
        if not self._status:
            return _Body(self, body)
        try:
            late = self.sent
            if not late:
                self.commit()
        except BaseException:
            _close(body)
            raise
        if self.failed:
            _close(body)
            return [] if late else [self._apology()]
        kind = type(body)
        if kind is list or kind is tuple or self._is_file(body):
            # No code of the application can run after this.
            if late:
                self.finish()
            self._session._phase = OVER
            return body
        return _Body(self, body)

    def _is_file(self, body: Iterable[bytes]) -> bool:
        """Whether this is the server's own way to send a file."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(body, wrapper)

    def commit(self) -> None:
        """Commit the session and forward status and headers, or a 503 if that fails."""
        if not self._status:
            raise AssertionError("the application gave a body before it called start_response")
        session = self._session
        if session.accessed:
            status, headers = self._commit(session)
        else:  # most requests: 9 calls less, of 15
            session._phase = SENT
            status, headers = self._status, self._headers
        self.sent = True
        self._server_write: Write = self._server(status, headers)

    def _commit(self, session: Session) -> tuple[str, Headers]:
        manager = self._middleware.manager
        secure = self._environ["wsgi.url_scheme"] == "https"
        try:
            ours = manager.commit(session, secure=secure)
        except Exception:  # noqa: BLE001  # whatever a store or codec raises, the visitor gets a 503
            self.failed = True
            manager.log.error("a session could not be saved")
            session._phase = OVER
            ours = manager.abandon(session, secure=secure)
            return "503 Service Unavailable", self._apology_headers(ours)
        session._phase = SENT
        headers = personal(self._headers)
        if ours:
            if not secure:
                self._middleware._check_transport(self._environ)
            name = manager.options.cookie_name
            headers = setting_cookie(headers, ours, name, self._middleware._overridden)
        return self._status, headers

    def _apology_headers(self, ours: Headers) -> Headers:
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE))),
            ("Cache-Control", "no-store"),
            ("Retry-After", "1"),
            *ours,
        ]

    def _apology(self) -> bytes:
        return b"" if self._environ.get("REQUEST_METHOD") == "HEAD" else _UNAVAILABLE

    def finish(self) -> None:
        """The application is done: save what it changed after the headers."""
        session = self._session
        if session._phase is OVER:
            return
        try:
            if self.sent:
                session.save()
        except Exception:  # noqa: BLE001  # the response is out; the server could do nothing with it
            log = self._middleware.manager.log
            log.error("what was changed after the headers could not be saved")
        finally:
            session._phase = OVER

    def give_up(self) -> None:
        """The application raised: nothing more is saved."""
        self._session._phase = OVER


class _Body:
    """The application's body, followed by what has to happen after it."""

    __slots__ = ("_body", "_closed", "_response")

    def __init__(self, response: _Response, body: Iterable[bytes]) -> None:
        self._response = response
        self._body = body
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        try:
            chunks = iter(self._body)
            if not response.sent:
                first: Any = next(chunks, _END)
                if not response.sent:  # the first chunk may have come by way of write()
                    response.commit()
                    if response.failed:
                        yield response._apology()
                if first is not _END and not response.failed:
                    yield first
            if not response.failed:
                yield from chunks
        except Exception:
            response.give_up()
            raise

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            _close(self._body)
        except BaseException:
            self._response.give_up()
            raise
        self._response.finish()


def _is_open(outer: object) -> bool:
    """Whether a middleware around this one has opened the session of this request."""
    return isinstance(outer, Session) and outer._phase is not OVER


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
