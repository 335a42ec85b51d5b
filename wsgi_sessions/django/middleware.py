"""Django's middleware: open, attach, finish, close.

How this works. Django's own ``SessionMiddleware`` is the parent, so that whatever looks for that
one finds it, and the hooks are the same: ``process_request`` opens the session,
``process_response`` commits it and puts its headers into the response. Under ASGI Django calls both
in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse

from wsgi_sessions.django import responses, test_keys
from wsgi_sessions.django.configuration import LOGIN_KEYS, session_manager
from wsgi_sessions.django.store import SessionStore, current_store
from wsgi_sessions.errors import StoreError
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.manager import SessionManager, adopt_login_keys
from wsgi_sessions.session import Session, is_open

__all__ = ["SessionMiddleware"]

_log = ThrottledLog("wsgi_sessions")
_OPENED = "_wsgi_sessions_opened"
_OUTAGE = "_wsgi_sessions_outage"


class SessionMiddleware(DjangoSessionMiddleware):
    """Gives each request its session, ``request.session``, a
    :class:`~wsgi_sessions.django.SessionStore`, and commits it when the response is made.

    Inside a :class:`wsgi_sessions.SessionMiddleware` around Django, that one's session is used, and
    that one commits. A response of status 500 or more saves nothing, as in Django; a store that
    fails is a ``503``. Where ``SESSION_ENGINE`` is another engine this is Django's own middleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        engine: type = self.SessionStore
        self._is_ours = issubclass(engine, SessionStore)
        self._engine = engine if issubclass(engine, SessionStore) else SessionStore
        if not self._is_ours:
            _log.warning(
                "SESSION_ENGINE is %r: this engine keeps the sessions, by Django's own middleware, "
                "until it is 'wsgi_sessions.django'",
                settings.SESSION_ENGINE,
            )
            return
        session_manager()  # what is set wrongly raises when the server starts
        got_request_exception.connect(_note_outage, dispatch_uid=_OUTAGE)

    def process_request(self, request: HttpRequest) -> None:
        """Open the session. No I/O."""
        if not self._is_ours:
            super().process_request(request)
            return
        manager, environ = session_manager(), request.META
        key = manager.options.environ_key
        session: Any = environ.get(key)
        commits = session is None or not is_open(session)
        if commits:
            session = manager.open(_cookie_header(request, manager), environ)
            environ[key] = session
        else:
            adopt_login_keys(session, LOGIN_KEYS)
            manager.note_outer(session)
        store = self._engine.of_request(session, manager)
        request.session = store
        setattr(request, _OPENED, Opened(store, manager, commits=commits))
        current_store.set(store)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Commit the session; one that a view has put in its place is saved too."""
        if not self._is_ours:
            return super().process_response(request, response)
        opened: Opened | None = getattr(request, _OPENED, None)
        if opened is None:
            return response
        current_store.set(None)
        if response.status_code == 500 and hasattr(request, _OUTAGE):
            return opened.unavailable(request, getattr(request, _OUTAGE))
        return opened.finish(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A store's failure in a view is a ``503``, unless ``handler500`` is the project's own."""
        opened: Opened | None = getattr(request, _OPENED, None)
        if opened is None or not isinstance(exception, StoreError) or responses.has_own_handler():
            return None
        return opened.unavailable(request, exception)


class Opened:
    """The session of one request on its way into the response."""

    def __init__(self, store: SessionStore, manager: SessionManager, *, commits: bool) -> None:
        self._store = store
        self._session: Session = store.session
        self._manager = manager
        self._commits = commits
        self._is_answered = False

    def finish(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Commit, and give the response its headers."""
        if self._is_answered:
            return response
        try:
            if response.status_code >= 500:
                self._session.rollback()
            else:
                self._save_all(request.session)
        except StoreError as error:
            return self.unavailable(request, error)
        if not self._commits:
            return response
        if self._session.accessed:
            secure, headers = request.is_secure(), responses.headers_of(response)
        else:  # there is no cookie to set
            secure, headers = False, responses.length_of(response)
        finished = self._manager.finish(self._session, "", headers, secure=secure)
        if finished.body is not None:
            self._is_answered = True
            return responses.unavailable(request, finished)
        responses.apply(response, finished.headers)
        responses.call_when_closed(response, self._close)
        return response

    def _save_all(self, session: Any) -> None:
        """What a view has put in the place of the first session has to be saved, and each request
        renews the session if the settings say so."""
        if not self._store.keeps_changes:
            self._session.rollback()
        if settings.SESSION_SAVE_EVERY_REQUEST and not self._store.is_empty():
            self._session.renew()
        if getattr(session, "session", session) is self._session or not hasattr(session, "save"):
            return
        if session.modified and not session.is_empty():
            try:
                session.save()
            except UpdateError:
                raise SessionInterrupted(
                    "The request's session was deleted before the request completed. The user may "
                    "have logged out in a concurrent request, for example."
                ) from None

    def _close(self) -> None:
        self._manager.close(self._session)

    def unavailable(self, request: HttpRequest, error: BaseException) -> HttpResponse:
        """The ``503`` for *error*; a logout that it has kept from being one expires the cookie."""
        self._manager.log.error("a failure of the store has left the application")
        if responses.was_in_logout(error):
            self._session.invalidate()
        self._is_answered = True
        finished = self._manager.unavailable(self._session, secure=request.is_secure())
        return responses.unavailable(request, finished)


def _cookie_header(request: HttpRequest, manager: SessionManager) -> str:
    """The request's, unless a middleware before has put another cookie into ``request.COOKIES``."""
    name = manager.options.cookie_name
    header: str = request.META.get("HTTP_COOKIE", "")
    put = vars(request).get("COOKIES", {}).get(name)
    if put is not None and put not in header:
        header = f"{name}={put}"
    if test_keys.are_noted() and name in header:
        given = request.COOKIES.get(name, "")
        meant = test_keys.cookie_for(request, given)
        return header if meant is given else f"{name}={meant}"
    return header


def _note_outage(*, request: HttpRequest, **_more: Any) -> None:
    """A store's failure outside of the view, as in another middleware, is about to become a 500."""
    error = sys.exc_info()[1]
    if isinstance(error, StoreError) and not responses.has_own_handler():
        setattr(request, _OUTAGE, error)
