"""Pyramid: ``request.session`` is a session of this library.

.. code:: python

    from pyramid.config import Configurator
    from wsgi_sessions.pyramid import session_factory

    with Configurator(settings={"wsgi_sessions.store": "redis://localhost"}) as config:
        config.include("wsgi_sessions.pyramid")  # by the settings

    with Configurator() as config:
        config.set_session_factory(session_factory("redis://localhost"))  # or by code

How this works. Inside a :class:`~wsgi_sessions.SessionMiddleware` the session is that of the
middleware, the very object, and the middleware commits it. Alone, a response callback, which
Pyramid calls after its tweens, finishes the response, and a finished callback closes the session.
A failure of the store that no exception view of the application's handles becomes the 503 of all
integrations, by an exception view that is registered with the first session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from secrets import token_hex
from sys import exception
from typing import Any, Unpack

try:
    from pyramid.config import Configurator
except ModuleNotFoundError as _error:
    if _error.name != "pyramid":
        raise
    raise ModuleNotFoundError(
        'wsgi_sessions.pyramid needs Pyramid: pip install "wsgi-sessions[pyramid]"', name="pyramid"
    ) from None

from pyramid.interfaces import (
    IExceptionViewClassifier,
    IRequest,
    ISession,
    ISessionFactory,
    IView,
)
from pyramid.response import FileIter, Response
from pyramid.threadlocal import manager as threadlocals
from zope.interface import implementedBy, implementer

from wsgi_sessions.errors import ConfigurationError, SessionClosed, StoreError, StoreUnavailable
from wsgi_sessions.manager import (
    Body,
    Options,
    SessionManager,
    StoreOrURL,
    adopt_login_keys,
    check_place,
    document_options,
    options_from_text,
    store_of,
)
from wsgi_sessions.session import MISSING, Session, is_open

__all__ = ["PyramidSession", "SessionAuthenticationHelper", "includeme", "session_factory"]

LOGIN_KEYS = ("auth.userid",)
"""What Pyramid's ``SessionAuthenticationHelper`` and ``SessionAuthenticationPolicy`` keep the user
under."""

SETTINGS = "wsgi_sessions."
"""The prefix of this module's settings in an ini file."""

_CSRF_TOKEN = "_csrft_"  # the key that Pyramid's sessions use
_COMMIT = "wsgi_sessions.pyramid.commit"


@implementer(ISession)
class PyramidSession(Session):
    """A :class:`~wsgi_sessions.Session` with what Pyramid asks of one: messages and tokens."""

    __slots__ = ()

    @property
    def created(self) -> int:
        """When the session began, or its owner logged in: seconds since the epoch."""
        return int(self.created_at)

    def changed(self) -> None:
        """Nothing has to be said: changes inside values are noticed."""
        self.modified = True

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add *msg* to the messages of *queue*; unless *allow_duplicate*, if it is not among them.
        Those of overlapping requests are all kept."""

        def add(messages: list[Any]) -> list[Any]:
            return messages if not allow_duplicate and msg in messages else [*messages, msg]

        self.mutate(f"_f_{queue}", add, default=[])

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages of *queue*, which are removed. What another request adds in the meantime
        stays for the next page."""
        shown = self.peek_flash(queue)

        def rest(messages: list[Any]) -> Any:
            later = messages[len(shown) :] if messages[: len(shown)] == shown else []
            return later or MISSING

        if shown:
            self.mutate(f"_f_{queue}", rest, default=[])
        return shown

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of *queue*, which stay."""
        return list(self.get(f"_f_{queue}", ()))

    def new_csrf_token(self) -> str:
        """A new token, in place of any before."""
        token = self[_CSRF_TOKEN] = token_hex(20)
        return token

    def get_csrf_token(self) -> str:
        """The token of this session, on which overlapping requests agree. One round trip more where
        it is made."""
        return self.get_or_create(_CSRF_TOKEN, lambda: token_hex(20))


@implementer(ISessionFactory)
class SessionFactory:
    """Gives a request its session. See :func:`session_factory`."""

    def __init__(self, manager: SessionManager, *, is_configured: bool) -> None:
        self.manager = manager
        self._environ_key: str = manager.options.environ_key
        self._is_configured = is_configured
        self._registry: object = None

    def __call__(self, request: Any) -> PyramidSession:
        """The session of *request*. No I/O. Raises :exc:`~wsgi_sessions.SessionClosed` where the
        router has already answered, so that nothing would be saved."""
        if self._registry is not request.registry:
            _answer_outages(request.registry)
            self._registry = request.registry
        session: Any = request.environ.get(self._environ_key)
        if is_open(session):
            if self._is_configured:
                self.manager.note_outer(session)
            adopt_login_keys(session, self.manager.options.login_keys)
            if "retry.attempts" in request.environ:
                request.add_finished_callback(partial(_forget_attempt, session))
        else:
            _check_router(request)
            session = self.manager.open(request.environ.get("HTTP_COOKIE"), request.environ)
            request.environ[self._environ_key] = session  # for what is mounted inside Pyramid
            commit = Commit(self.manager, session)
            setattr(session, _COMMIT, commit)
            request.add_response_callback(commit.respond)
            request.add_finished_callback(commit.close)
        session.__class__ = PyramidSession
        pyramid_session: PyramidSession = session
        return pyramid_session


class Commit:
    """Commits a *session* that no middleware commits."""

    def __init__(self, manager: SessionManager, session: Session) -> None:
        self._manager = manager
        self._session = session
        self._is_last = self._is_finished = self._streams = False

    def respond(self, request: Any, response: Any) -> None:
        """The response callback. Those that were added later come first: they may change the
        session."""
        others = [one for one in request.response_callbacks if one != self.respond]
        if others and not self._is_last:
            self._is_last = True
            request.add_response_callback(self.respond)
        elif _is_tried_again(request):
            self._manager.abandon(self._session)
        elif not self._is_finished:
            self._is_finished = True
            self._finish(request, response)

    def _finish(self, request: Any, response: Any) -> None:
        app_iter, length = response.app_iter, response.content_length
        self._streams = _runs_code(request, app_iter)
        secure = _is_secure(request)
        status, headers, body = self._manager.finish(
            self._session, response.status, response.headerlist, secure=secure
        )
        if body is not None:
            Body(self._manager, self._session, app_iter).close()
            self._streams = False
            response.status, response.app_iter = status, [body]
        elif self._streams:
            response.app_iter = Body(self._manager, self._session, app_iter)
            response.content_length = length
        response.headerlist = headers

    def unavailable(self, request: Any) -> Any:
        """The response to a failure of the store that the application has not handled."""
        self._is_finished = True
        self._manager.log.error("a failure of the store has left the application")
        secure = _is_secure(request)
        status, headers, body = self._manager.unavailable(self._session, secure=secure)
        return Response(body, status, headerlist=headers)

    def close(self, _request: Any) -> None:
        """The finished callback. Where the application has raised, nothing more is saved."""
        if exception() is not None:
            self._manager.abandon(self._session)
        elif not self._streams:
            self._manager.close(self._session)


def session_factory(
    store: StoreOrURL | None = None, **options: Unpack[Options]
) -> Callable[[Any], PyramidSession]:
    """A session factory for ``config.set_session_factory``, whose sessions are kept in *store*.

    Without *store*, the environment's ``WSGI_SESSIONS_STORE`` is its URL, as for
    :class:`~wsgi_sessions.SessionMiddleware`. Inside a middleware of the same ``environ_key`` the
    session is that of the middleware, and *store* and *options* do not count. ``login_keys`` are
    those of Pyramid's own authentication, unless they are given. Raises what
    :class:`~wsgi_sessions.SessionMiddleware` raises. No I/O.
    """
    is_configured = store is not None or bool(options)
    opened = store_of(store)
    manager = SessionManager(opened, **options)
    manager.adopt_login_keys(LOGIN_KEYS)
    check_place(opened, is_default=store is None)
    return SessionFactory(manager, is_configured=is_configured)


document_options(session_factory)


def includeme(config: Any) -> None:
    """``config.include("wsgi_sessions.pyramid")``: sessions by the settings that begin with
    ``wsgi_sessions.``, ``store`` and any option, as text or as what the option takes in Python.

    Raises :exc:`~wsgi_sessions.ConfigurationError` or :exc:`TypeError` by the setting's name.
    """
    given = {
        name.removeprefix(SETTINGS): value
        for name, value in config.registry.settings.items()
        if name.startswith(SETTINGS)
    }
    store = given.pop("store", None)
    try:
        factory = session_factory(store, **_options_of(given))
    except ConfigurationError as error:
        raise ConfigurationError(f"of the settings {SETTINGS}*: {error}") from None
    except TypeError as error:
        raise TypeError(f"of the settings {SETTINGS}*: {error}") from None
    config.set_session_factory(factory)


def _options_of(settings: Mapping[str, Any]) -> Options:
    texts = {name: value for name, value in settings.items() if isinstance(value, str)}
    return {**settings, **options_from_text(texts)}  # type: ignore[typeddict-item]


class SessionAuthenticationHelper:
    """Pyramid's helper of this name for security policies, by the session's own login.

    Who is remembered is the session's owner, whichever framework under the same middleware has
    logged him in; who is forgotten is logged out of all of them. *owner* makes of a user id the
    owner's text.
    """

    def __init__(self, prefix: str = "auth.", owner: Callable[[Any], str] = str) -> None:
        self.userid_key: str = f"{prefix}userid"
        self._owner = owner

    def remember(self, request: Any, userid: Any, **_kw: Any) -> list[Any]:
        """Log *userid* in: the session gets a new secret and is listed under its owner."""
        if isinstance(request.session, Session):
            request.session.login(self._owner(userid))
        request.session[self.userid_key] = userid
        return []

    def forget(self, request: Any, **_kw: Any) -> list[Any]:
        """Log out: the session is ended, with all that it holds."""
        request.session.invalidate()
        return []

    def authenticated_userid(self, request: Any) -> Any:
        """Who is logged in, of the type that was remembered; the owner's text if another framework
        has logged him in; ``None`` for nobody."""
        session = request.session
        userid = session.get(self.userid_key)
        if not isinstance(session, Session):
            return userid
        owner = session.owner
        return userid if userid is not None and owner == self._owner(userid) else owner


def _check_router(request: Any) -> None:
    routed = hasattr(request, "invoke_subrequest")
    if routed and all(one["request"] is not request for one in threadlocals.stack):
        raise SessionClosed(
            "the response headers have been sent, and nothing has asked for the session before: "
            "say request.session in the view, or wrap the application by SessionMiddleware"
        )


def _is_secure(request: Any) -> bool:
    return bool(request.environ.get("wsgi.url_scheme") == "https")


def _runs_code(request: Any, app_iter: Any) -> bool:
    """Whether code of the application may run while *app_iter* is sent. What is a file stays as it
    is, so that servers keep ``sendfile``."""
    if isinstance(app_iter, (list, tuple, FileIter)):
        return False
    wrapper = request.environ.get("wsgi.file_wrapper")
    return not (isinstance(wrapper, type) and isinstance(app_iter, wrapper))


def _is_tried_again(request: Any) -> bool:
    """Whether pyramid_retry drops what this attempt has made of the request, and makes another."""
    error = exception() or getattr(request, "exception", None)
    if error is None or "retry.attempts" not in request.environ:
        return False
    from pyramid_retry import is_error_retryable

    return bool(is_error_retryable(request, error))


def _forget_attempt(session: Session, request: Any) -> None:
    if _is_tried_again(request):
        session.rollback()


def _answer_outages(registry: Any) -> None:
    """Register the exception view for a store that fails, unless the application has one for that
    or for any exception."""
    kinds = IExceptionViewClassifier, IRequest, implementedBy(StoreUnavailable)
    if registry.settings is None or registry.adapters.lookup(kinds, IView) is not None:
        return
    config = Configurator(registry=registry, autocommit=True)
    config.add_exception_view(_unavailable, context=StoreError)


def _unavailable(error: StoreError, request: Any) -> Any:
    commit = getattr(request.session, _COMMIT, None)
    if commit is None:
        raise error  # to the middleware around
    return commit.unavailable(request)
