"""The WSGI middleware.

How this works. The application's ``start_response`` is only recorded. When nothing more can be
changed before the headers (the application has returned a body that is made already, or gives its
first chunk with content, or calls ``write``), the session is committed and the recorded headers are
forwarded with ours. If the store fails, a 503 goes out instead. What the application changes later
is saved when its body is exhausted and when the server closes it.

Rules for maintainers: PEP 3333 binds both sides. The application's header list is never changed,
its iterable is closed exactly once, nothing is added per chunk, and a body that cannot run any more
code of the application (a list, a tuple, the server's file wrapper) is returned as it is, so that
servers keep ``sendfile`` and ``Content-Length``. Everything about headers is the manager's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from types import TracebackType
from typing import Any, Unpack
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from wsgi_sessions.cookie import Headers, personal
from wsgi_sessions.errors import StoreError
from wsgi_sessions.manager import (
    Body,
    Finished,
    Options,
    SessionManager,
    StoreOrURL,
    check_application,
    check_place,
    close_body,
    document_options,
    store_of,
)
from wsgi_sessions.session import (
    OVER,
    Session,
    close_unloaded,
    is_open,
    open_session,
)

__all__ = ["SessionMiddleware"]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]

_MAX_EMPTY_CHUNKS = 8  # that are dropped in front of the first chunk with content
_END: Any = object()


class SessionMiddleware:
    """Gives *app* a session in ``environ["wsgi.session"]``, kept in *store*.

    Without *store*, the environment's ``WSGI_SESSIONS_STORE`` is its URL, by default that of an
    SQLite file in the working directory. A request that does not touch its session costs no
    store call and no header. Inside another middleware of the same ``environ_key``, the session of
    the outer one is used.
    """

    def __init__(
        self, app: WSGIApplication, store: StoreOrURL | None = None, **options: Unpack[Options]
    ) -> None:
        check_application(app)
        self.app = app
        opened = store_of(store)
        self.manager: SessionManager = SessionManager(opened, **options)
        check_place(opened, is_default=store is None)
        self._environ_key = self.manager.options.environ_key

    def __getattr__(self, name: str) -> Any:
        """What was wrapped keeps its attributes for the application. (A class that has this method
        takes 500 instructions for each attribute of its own too, so ``__call__`` asks for one.)"""
        if name.startswith("__") or "app" not in vars(self):
            raise AttributeError(name)
        return getattr(self.app, name)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        mine = self.__dict__
        app, manager, environ_key = mine["app"], mine["manager"], mine["_environ_key"]
        if environ_key in environ and is_open(environ[environ_key]):
            manager.note_outer(environ[environ_key])
            return app(environ, start_response)  # type: ignore[no-any-return]
        # manager.open(), a call less
        header = environ.get("HTTP_COOKIE") or ""
        session = open_session(manager.repository, manager.resolve, header, environ)
        environ[environ_key] = session
        response = _Response()  # without __init__, to save a call
        response.middleware, response.session = mine, session
        response.environ, response.server = environ, start_response
        response.stage = NOTHING
        try:
            body = app(environ, response.start)
            if type(body) is list and response.stage is RECORDED:
                # Most requests: what send() does, for half of the instructions.
                if not session.accessed:
                    state = session._state
                    state.phase, state.environ = OVER, None
                    response.stage = SENT
                    response.server_write = start_response(response.status, response.headers)
                    return body
                if not header and close_unloaded(session):
                    response.stage = SENT
                    response.server_write = start_response(
                        response.status, personal(response.headers, False)
                    )
                    return body
        except BaseException as error:
            if response.replaces(error):
                return response.unavailable()
            raise
        return response.send(body)


document_options(SessionMiddleware)


class Stage(Enum):
    """How far a response is. ``NOTHING`` → ``RECORDED`` by ``start_response``, which may be called
    again with ``exc_info``; → ``SENT`` by the commit; → ``REPLACED`` where the store failed."""

    NOTHING = "the application has not called start_response"
    RECORDED = "status and headers are recorded"
    SENT = "they were forwarded, with ours"
    REPLACED = "a 503 was forwarded in their place"


NOTHING, RECORDED, SENT, REPLACED = Stage


class _Response:
    """One response on its way from the application to the server."""

    __slots__ = (
        "environ",
        "headers",
        "middleware",
        "replacement",
        "server",
        "server_write",
        "session",
        "stage",
        "status",
    )

    middleware: dict[str, Any]
    """Its attributes: the manager is that of now, where a configuration changes."""
    session: Session
    environ: WSGIEnvironment
    server: StartResponse
    stage: Stage
    status: str
    headers: Headers
    server_write: Write
    replacement: bytes
    """The body of the 503."""

    @property
    def manager(self) -> SessionManager:
        manager: SessionManager = self.middleware["manager"]
        return manager

    # What the application sees

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Write:
        """PEP 3333 ``start_response``, recorded."""
        if exc_info is not None:
            try:
                if self.stage is SENT or self.stage is REPLACED:
                    return self._restart(status, headers, exc_info)
            finally:
                exc_info = None
        elif self.stage is not NOTHING:
            raise AssertionError("start_response was called a second time without exc_info")
        self.status, self.headers, self.stage = status, headers, RECORDED
        return self

    def _restart(self, status: str, headers: Headers, exc_info: ExcInfo) -> Write:
        """After the commit. A server that has sent nothing yet takes the new headers, to which ours
        belong as to those before; any other raises what the application caught."""
        if self.stage is SENT:
            secure = self.environ["wsgi.url_scheme"] == "https"
            finished = self.manager.finish(self.session, status, headers, secure=secure)
            self.server_write = self.server(finished.status, finished.headers, exc_info)
        else:
            self.server(status, headers, exc_info)
        return self

    def __call__(self, data: bytes) -> None:
        """PEP 3333 ``write``: :meth:`start` returns the response itself, a method less to make."""
        if self.stage is RECORDED:
            self._commit()
            if self.stage is REPLACED:
                self.server_write(self.replacement)
        if self.stage is SENT:
            self.server_write(data)

    # Towards the server

    def send(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """What the server gets for the application's *body*."""
        try:
            kind = type(body)
            if not (kind is list or kind is tuple or self._is_file(body)):
                return self._send_stream(body)
            # No code of the application can run after this.
            if self.stage is not RECORDED:
                return self._send_late(body)
            status, headers, replacement = self.middleware["manager"].finish(
                self.session,
                self.status,
                self.headers,
                secure=self.environ["wsgi.url_scheme"] == "https",
                streams=False,
            )
            if replacement is None:  # nearly always: five calls less than by _forward
                self.stage = SENT
                self.server_write = self.server(status, headers)
                return body
            self._forward(Finished(status, headers, replacement))
            close_body(body)
            return [self.replacement]
        except BaseException as error:
            close_body(body)
            if self.replaces(error):
                return self.unavailable()
            raise

    def _send_late(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """After ``write()``, or where no response was started, as by who takes the socket."""
        if self.stage is NOTHING and body:
            raise AssertionError("the application gave a body before it called start_response")
        self.manager.close(self.session)
        return [] if self.stage is REPLACED else body

    def _send_stream(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """The first chunk with content is taken within the call: until then the application may
        still begin a session, and some servers send what they know when the call returns."""
        chunks = iter(body)
        first: Any = _END
        late = self.stage is SENT or self.stage is REPLACED
        if not late:
            # Mostly there is content at once.
            first = next(chunks, _END)
            if first is _END or not first:
                first = self._first(chunks, first)
            late = self.stage is SENT or self.stage is REPLACED  # by write()
        if self.stage is RECORDED:
            self._commit()
        elif self.stage is NOTHING and first is not _END:
            raise AssertionError("the application gave a body before it called start_response")
        if self.stage is REPLACED:
            close_body(body)
            return [] if late else [self.replacement]
        before = () if first is _END else (first,)
        return Body(self.middleware["manager"], self.session, body, chunks, before)

    def _first(self, chunks: Iterator[bytes], chunk: Any) -> Any:
        """The first chunk that has content, from *chunk* on, that many empty ones later at the
        latest. Where none has, an empty one, since there are servers that send no headers without
        a chunk."""
        last: Any = _END
        for _ in range(_MAX_EMPTY_CHUNKS):
            if chunk is _END:
                return last if self.stage is RECORDED else _END
            if chunk or self.stage is SENT or self.stage is REPLACED:
                break
            last, chunk = chunk, next(chunks, _END)
        return (last if self.stage is RECORDED else _END) if chunk is _END else chunk

    def _is_file(self, body: Iterable[bytes]) -> bool:
        """Whether this is the server's own way to send a file."""
        wrapper = self.environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(body, wrapper)

    def _commit(self) -> None:
        """Commit the session and forward status and headers, or a 503 if the store fails. Code of
        the application may run afterwards."""
        secure = self.environ["wsgi.url_scheme"] == "https"
        status, headers, body = self.middleware["manager"].finish(
            self.session, self.status, self.headers, secure=secure, streams=True
        )
        if body is None:  # nearly always: a call less than by _forward
            self.stage = SENT
            self.server_write = self.server(status, headers)
        else:
            self._forward(Finished(status, headers, body))

    def _forward(self, finished: Finished) -> None:
        status, headers, body = finished
        self.stage = SENT if body is None else REPLACED
        if body is not None:
            self.replacement = b"" if self.environ.get("REQUEST_METHOD") == "HEAD" else body
        self.server_write = self.server(status, headers)

    # Where the application raises

    def replaces(self, error: BaseException) -> bool:
        """Whether a 503 takes the place of what was to be sent: the store has failed, nothing is
        out. Otherwise nothing more is saved."""
        if isinstance(error, StopIteration) and self.stage is NOTHING:
            # gunicorn and eventlet are told by it that the application took the socket.
            self.manager.close(self.session)
            return False
        if isinstance(error, StoreError) and self.stage in (NOTHING, RECORDED):
            self.manager.log.error("a failure of the store has left the application")
            return True
        self.manager.abandon(self.session)
        return False

    def unavailable(self) -> list[bytes]:
        """Forward the 503."""
        secure = self.environ["wsgi.url_scheme"] == "https"
        self._forward(self.manager.unavailable(self.session, secure=secure))
        return [self.replacement]
