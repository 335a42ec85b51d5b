"""``SessionStore``: Django's interface to one session of this library.

How this works. Django's ``SessionBase`` works on a mapping, ``_session``, which is a dict that an
engine loads and saves. Here it is the :class:`~wsgi_sessions.Session` itself, which loads when
somebody looks and notices every change. What remains is what a key opens and what the verbs mean.

A store is of a request, made by the middleware, which commits it; or it stands alone, as in the
test client, in a consumer of Channels or where an application keeps keys of its own, and is saved
by :meth:`SessionStore.save`. Within a request, the key of its session opens that session itself,
not a second copy of it.
"""

from __future__ import annotations

from asyncio import get_running_loop
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.utils.asyncio import async_unsafe
from django.utils.module_loading import import_string

from wsgi_sessions.cookie import Headers
from wsgi_sessions.django import test_keys
from wsgi_sessions.django.configuration import session_manager
from wsgi_sessions.manager import SessionManager
from wsgi_sessions.session import Session, is_loaded
from wsgi_sessions.stores import CENTURY, Purgeable

__all__ = ["SessionStore", "current_store"]

current_store: ContextVar[SessionStore | None] = ContextVar("current_store", default=None)
"""That of the request which is being answered."""

_SHORTEST = 1e-6  # seconds: a session whose time is over already
_BATCH = 1000  # expired records a call of purge()
_EXPIRY = "_session_expiry"


class SessionStore(SessionBase):
    """A session as Django and its applications know it: see Django's documentation of sessions.

    ``SessionStore(session_key)`` opens a session by its key, or by the value of its cookie;
    ``SessionStore()`` is a new one. What is not saved by a request is saved by :meth:`save`.

    What this library adds is in :attr:`session`: ``request.session.session.increment("visits")``.
    """

    def __init__(self, session_key: str | None = None) -> None:
        self._modified, self.keeps_changes = False, True
        self._is_of_request, self._cookie = False, ""
        self._manager = session_manager()
        self.session: Session = self._opened(str(session_key) if session_key else "")
        """The :class:`~wsgi_sessions.Session` itself: ``id``, ``owner``, ``increment()``, …"""

    @classmethod
    def of_request(cls, session: Session, manager: SessionManager) -> SessionStore:
        """That of a request whose end the middleware commits."""
        store = cls.__new__(cls)
        store._modified, store.keeps_changes = False, True
        store._is_of_request, store._cookie = True, ""
        store._manager, store.session = manager, session
        return store

    def _opened(self, key: str) -> Session:
        manager, current = self._manager, current_store.get()
        if current is not None and key and current.answers_to(key):
            self._is_of_request = True
            return current.session
        if len(key) == 40:
            return manager.open_key(key)
        self._cookie = key
        return manager.open(f"{manager.options.cookie_name}={key}" if key else None)

    def answers_to(self, key: str) -> bool:
        """Whether *key* is that of this session, which the request has loaded. No I/O."""
        return is_loaded(self.session) and self._manager.key_of(self.session) == key

    # What SessionBase works on

    def _get_session(self, no_load: bool = False) -> Session:  # noqa: ARG002
        if not is_loaded(self.session) and self._manager.needs_load(self.session):
            self._load_here()
        return self.session

    _session = property(_get_session)

    @async_unsafe("A session is loaded in a thread: await its asynchronous methods in async views.")
    def _load_here(self) -> None:
        bool(self.session)

    async def _aget_session(self, no_load: bool = False) -> Session:  # noqa: ARG002
        if self._manager.needs_load(self.session):
            await sync_to_async(bool)(self.session)
        return self.session

    keeps_changes: bool
    """Whether the request is to save what was changed."""

    @property
    def accessed(self) -> bool:
        """Whether anything has looked at the session."""
        return self.session.accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self.session.accessed = value

    @property
    def modified(self) -> bool:
        """Whether anything was changed, inside a value too. May be set: after ``False`` the request
        saves nothing, as in Django, unless something is changed afterwards."""
        return self._modified or (self.keeps_changes and self.session.modified)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = self.keeps_changes = bool(value)

    @property
    def session_key(self) -> str | None:
        """40 characters that open the session by ``SessionStore(session_key)``, and no cookie;
        ``None`` until it is stored. Another after a login, ``cycle_key()`` and ``flush()``. Loads;
        in a coroutine, where nothing can be, it is what the cookie claims, as in Django."""
        if self._manager.needs_load(self.session) and _is_in_coroutine():
            return self._manager.claimed_key(self.session)
        return self._manager.key_of(self.session)

    def is_empty(self) -> bool:
        """Whether there is no session: nothing stored and nothing put. Loads nothing."""
        session = self.session
        if not is_loaded(session):
            return not (session.modified or self._manager.needs_load(session))
        return not (session.superseded or len(session) or self.session_key)

    @property
    def _is_stored(self) -> bool:
        return self.session.expires_at is not None

    # Saving and ending

    def save(self, must_create: bool = False) -> None:
        """Store the session now, an empty one too, and keep it when it is empty later, since its
        key may be kept elsewhere. Alone, a session that another request has ended or replaced
        raises ``UpdateError``, as in Django; in a request its changes are dropped."""
        if must_create and self._is_stored:
            raise CreateError
        if not self.session.superseded:
            self.session.create()
        self._commit()
        if not self._is_of_request and self.session.superseded:
            raise UpdateError

    def _commit(self) -> None:
        if self._is_of_request:
            self.session.save()
            return
        self._note_cookie(self._manager.commit(self.session))

    def _note_cookie(self, headers: Headers) -> None:
        """For the test client, which sends the key of a store that stands alone as a cookie."""
        start = f"{self._manager.options.cookie_name}="
        for _, line in headers:
            if line.startswith(start):
                self._cookie = line[len(start) :].partition(";")[0]
        if self._cookie:
            test_keys.note(self.session_key, self._cookie)

    def create(self) -> None:
        """Store a new, empty session."""
        if self._is_stored:
            self.session.invalidate()
        self.session.create()
        self._modified = True
        self._commit()

    def cycle_key(self) -> None:
        """A new key and a new cookie for the same data; in a request, by the save at its end."""
        if not self._is_stored:
            self.session.create()
        self.session.regenerate()
        self._modified = True
        if not self._is_of_request:
            self._commit()

    def clear(self) -> None:
        self.session.clear()
        self._modified = True

    def flush(self) -> None:
        """End the session, at once; go on with a new, empty one."""
        self.session.invalidate()
        self._cookie = ""
        self._modified = True
        self._commit()

    def delete(self, session_key: str | None = None) -> None:
        """End the session *session_key*, by default this one, at once."""
        other = self if session_key is None else type(self)(session_key)
        if other.session_key is not None:
            other.flush()

    def exists(self, session_key: str) -> bool:
        """Whether *session_key* opens a session. One round trip, none if it is forged."""
        return type(self)(session_key).session_key is not None

    def load(self) -> dict[str, Any]:
        """What is in the session, as a dict."""
        return dict(self._get_session())

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what has expired, for ``manage.py clearsessions``; nothing where the store does
        that by itself."""
        store = session_manager().store
        while isinstance(store, Purgeable) and store.purge(_BATCH) >= _BATCH:
            pass

    async def aflush(self) -> None:
        await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    # How long it lives

    def set_expiry(self, value: float | datetime | timedelta | None) -> None:
        """Seconds without use, 0 for the end of the browser, a time, or ``None`` for the settings'
        ``SESSION_COOKIE_AGE``. The record itself says so then, whoever looks at it."""
        session = self._get_session()
        if isinstance(session.get(_EXPIRY), str):  # a time, which was the end whatever the use
            session.expires_at = None
        super().set_expiry(value)  # type: ignore[arg-type]  # it takes a float as well
        session.permanent = session_manager().options.permanent if value is None else value != 0
        if not value:
            session.lifetime = None
            return
        seconds = self._seconds(value)
        longest = self._manager.options.absolute_lifetime
        if isinstance(value, (datetime, timedelta)) or (longest is not None and seconds > longest):
            session.expires_at = self._now() + seconds
        session.lifetime = min(max(seconds, _SHORTEST), CENTURY)

    def _seconds(self, value: float | datetime | timedelta) -> float:
        if isinstance(value, timedelta):
            return value.total_seconds()
        return value.timestamp() - self._now() if isinstance(value, datetime) else value

    async def aset_expiry(self, value: float | datetime | timedelta | None) -> None:
        await sync_to_async(self.set_expiry)(value)

    def get_session_cookie_age(self) -> int:
        """Seconds of this session without use: ``SESSION_COOKIE_AGE`` unless somebody has set
        another lifetime."""
        return round(self._get_session().lifetime)

    def get_expire_at_browser_close(self) -> bool:
        return not self._get_session().permanent

    async def aget_expire_at_browser_close(self) -> bool:
        return not (await self._aget_session()).permanent

    def _now(self) -> float:
        return self._manager.options.clock()

    @property
    def serializer(self) -> Any:
        """``SESSION_SERIALIZER``, for :meth:`encode` and :meth:`decode`; it stores nothing."""
        return import_string(settings.SESSION_SERIALIZER)


def _is_in_coroutine() -> bool:
    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True
