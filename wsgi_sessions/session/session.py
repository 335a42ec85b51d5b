"""The session of one request: a dict, loaded when it is looked at, saved where it changed.

How this works. A :class:`Session` is what an application holds: a mapping and a few verbs. What was
loaded and what becomes of it is in its :class:`~wsgi_sessions.session.state.RequestState`, what was
read and changed in the :class:`~wsgi_sessions.session.draft.Draft` of that.

Rules for maintainers: whatever looks at the session goes through ``_look``, whatever changes it
through ``_change``.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    ValuesView,
)
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, overload

from wsgi_sessions.cookie import new_secret
from wsgi_sessions.errors import SessionClosed, StoreError, UnsupportedValue
from wsgi_sessions.session.changes import MISSING, Function
from wsgi_sessions.session.draft import Draft
from wsgi_sessions.session.identity import check_owner
from wsgi_sessions.session.lifetimes import checked_lifetime
from wsgi_sessions.session.repository import SessionRepository
from wsgi_sessions.session.snapshot import DROPPED, SUPERSEDED
from wsgi_sessions.session.state import BY_ID, OPEN, OVER, SENT, RequestState, Resolve
from wsgi_sessions.session.views import Items, Keys, Values

__all__ = [
    "Session",
    "check_key",
    "close_unloaded",
    "dismiss_changes",
    "is_loaded",
    "is_nobodys",
    "is_open",
    "open_session",
    "state_of",
]

T = TypeVar("T")
Number = TypeVar("Number", float, Decimal)


class Session(MutableMapping[str, Any]):
    """The session of one request, a mapping of ``str`` to values of the supported types.

    Looking at it costs one round trip to the store the first time, none if the request has no valid
    cookie; changing it costs one more when the request ends. A value is encoded when it is
    assigned: :exc:`~wsgi_sessions.UnsupportedValue` is raised on the guilty line. What loads may
    raise :exc:`~wsgi_sessions.StoreUnavailable`.

    Not to be shared between threads, no more than a dict that is being changed.
    """

    __slots__ = ("__dict__", "__weakref__", "_state", "accessed")

    _state: RequestState
    accessed: bool
    """Whether anything has looked at the session or changed it: the response varies by cookie."""

    # State

    @property
    def id(self) -> str:
        """The public name of the session, 22 characters, safe to log. It never changes."""
        self._look()
        return self._state.load().ensure_id()

    @property
    def sid(self) -> str:
        """Id and secret, 44 characters: anyone who holds it can use the session. Never
        log it. Raises :exc:`~wsgi_sessions.SessionClosed` where the session was opened by its
        id."""
        id, state = self.id, self._state
        state.ensure_secret()
        secret = self._look().header.secret or state.load().secret
        if not secret:
            raise SessionClosed(f"{state.phase.value}, and only the hash of its secret is stored")
        return id + secret

    @property
    def new(self) -> bool:
        """Whether this request found no session."""
        self._look()
        return self._state.load().new

    @property
    def superseded(self) -> bool:
        """Whether what this request changes was or will be dropped, because another request has
        replaced the session's secret or ended the session. Loads."""
        self._look()
        snapshot = self._state.load()
        return bool(snapshot.detached_from) and snapshot.why is SUPERSEDED

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser, and ``permanent_lifetime`` holds for it."""
        asked = self._look().header.permanent
        record = self._state.load().record
        if asked is MISSING:
            return self._state.repository.permanent if record is None else record.permanent
        return bool(asked)

    @permanent.setter
    def permanent(self, value: bool) -> None:
        if self._state.phase in (SENT, BY_ID) and bool(value) == self.permanent:
            return
        self._change("permanent is an attribute of the cookie").change_header().permanent = bool(
            value
        )

    @property
    def lifetime(self) -> float:
        """Seconds after which the session ends if nobody uses it. May be set for this session, to
        seconds or a ``timedelta`` (15 minutes for an administrator), or to ``None`` for the
        ordinary lifetime again; no option then changes it. Reading loads."""
        header, repository = self._look().header, self._state.repository
        record = self._state.load().record
        if header.lifetime is not MISSING and header.lifetime is not None:
            return float(header.lifetime)
        if record is None or header.lifetime is None or header.permanent is not MISSING:
            return repository.lifetimes.idle(permanent=self.permanent)
        return record.idle

    @lifetime.setter
    def lifetime(self, value: float | timedelta | None) -> None:
        seconds = None if value is None else checked_lifetime(value)
        late = self._state.phase is not OPEN
        needs_cookie = "the cookie ends with the session" if late and self.permanent else ""
        self._change(needs_cookie).change_header().lifetime = seconds

    @property
    def expires_at(self) -> float | None:
        """When the session ends if nothing more happens, in seconds since the epoch: the earlier of
        its idle and its absolute end, as stored. ``None`` before the first save. Loads.

        May be set: the session then ends at that time at the latest, whatever the activity, until
        the next login; ``None`` sets the ordinary absolute end again."""
        self._look()
        record = self._state.load().record
        return None if record is None else record.expires_at

    @expires_at.setter
    def expires_at(self, value: float | None) -> None:
        end = self._state.repository.lifetimes.end_of(self.created_at) if value is None else value
        late = self._state.phase is not OPEN
        needs_cookie = "the cookie ends with the session" if late and self.permanent else ""
        self._change(needs_cookie).change_header().ends_at = None if end is None else float(end)

    @property
    def device(self) -> str | None:
        """A text of at most 100 characters that tells a person this session from the owner's
        others; ``None`` if none was stored. Loads."""
        self._look()
        record = self._state.load().record
        return None if record is None else record.device

    @property
    def created_at(self) -> float:
        """When the session began, or its owner logged in: seconds since the epoch."""
        self._look()
        snapshot = self._state.load()
        return snapshot.opened_at if snapshot.record is None else snapshot.record.created_at

    @property
    def last_seen(self) -> float | None:
        """About when the session was used before this request: its last save, in seconds since the
        epoch. A renewal saves, at most a tenth of the idle lifetime, or a day, after the last.
        ``None`` before the first save. Loads."""
        self._look()
        record = self._state.load().record
        return None if record is None else record.saved_at

    @property
    def owner(self) -> str | None:
        """Who is logged in: what :meth:`login` was given, or what a login key says."""
        self._look()
        return self._state.rights().owner()

    @property
    def modified(self) -> bool:
        """Whether there is anything to save. Loads nothing.

        Changes inside values are noticed without it. It may be set, as programs written for other
        libraries do; what is equal to what is stored is not written.
        """
        return self._state.has_changes()

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            draft = self._change()
            draft.change_header().forced = True
            draft.dismissed = None  # that it is to be saved is the last word

    # The mapping

    def __getitem__(self, key: str) -> Any:
        if key.__class__ is not str:  # no call: it is asked for every key
            key = _plain(key)
        self.accessed = True
        state = self._state
        draft = state.draft
        if draft is None:
            record = (state.snapshot or state.load()).record
            if record is None:
                raise KeyError(key)
            values = record.values
            value = values[key]
            if type(value) is not bytes:
                return value  # a scalar: 7 k instructions less
            draft = state.look()
        elif key in draft.live:
            return draft.live[key]
        else:
            values = state.load().values
        try:
            return draft.get(key, values)
        except ValueError:
            state.replace_undecodable()
            raise KeyError(key) from None

    def get(self, key: str, default: Any = None) -> Any:
        if key.__class__ is not str:  # no call: it is asked for every key
            key = _plain(key)
        self.accessed = True
        state = self._state
        draft, snapshot = state.draft, state.snapshot
        if draft is None:
            if snapshot is None and not state.cookie_header:
                return default  # a first visit: half of what the rest takes
            record = (snapshot or state.load()).record
            if record is None or key not in record.values:
                return default  # Mapping.get catches a KeyError for it: 6 k instructions
        elif key not in draft.live and not draft.has(key, state.load().values):
            return default
        return super().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str or not key.isascii():
            key = check_key(key)
        self.accessed = True
        state = self._state
        if state.phase is not OPEN:
            state.check_late("")
            if state.names_user(key):
                state.check_late_login(key, value)
        (state.draft or state.look()).put(key, value)

    def update(self, other: Any = (), /, **more: Any) -> None:
        """As of a dict. Costs nothing until the request ends."""
        draft = self._change()
        more = {**other, **more} if type(other) is dict else dict(other, **more)
        if self._state.phase is not OPEN:
            for key, value in more.items():
                self[key] = value
            return
        for key, value in more.items():
            draft.put(key if type(key) is str and key.isascii() else check_key(key), value)

    def __delitem__(self, key: str) -> None:
        key = _plain(key)
        draft = self._look()
        try:
            if key not in draft.live and not draft.has(key, self._state.load().values):
                raise KeyError(key)
        except (KeyError, StoreError):
            self._state.leave(key)
            raise
        draft = self._change()
        if self._state.phase is not OPEN and self._state.names_user(key):
            self._state.check_late_login(key, MISSING)
        draft.delete(key)

    def __contains__(self, key: object) -> bool:
        """Decodes the value: what is said to be there can be had."""
        self._look()
        return isinstance(key, str) and super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        """Decodes all values, for the same reason; ``len`` decodes none."""
        draft = self._look()
        try:
            return iter(draft.get_all(self._state.load().values))
        except ValueError:
            self._state.replace_undecodable()
            return iter(draft.get_all(self._state.load().values))

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def pop(self, key: str, default: Any = MISSING) -> Any:
        """As of a dict. A login key is a logout, whether or not it can be read."""
        key = _plain(key)
        try:
            value = self[key]
        except (KeyError, StoreError) as error:
            self._state.leave(key)
            if default is not MISSING and isinstance(error, KeyError):
                return default
            raise
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was put last, and return it with its value."""
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("popitem(): the session is empty")

    def __len__(self) -> int:
        return len(self._look().view(self._state.load().values))

    def keys(self) -> KeysView[str]:
        self._look()
        return Keys(self)

    def values(self) -> ValuesView[Any]:
        self._look()
        return Values(self)

    def items(self) -> ItemsView[str, Any]:
        self._look()
        return Items(self)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As of a dict; what is returned is the value that the session holds."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove everything: keys this request never saw and the owner too; ``permanent`` and
        :attr:`lifetime` are again what new sessions begin as.

        A stored session gets a new secret in the same save, so that ``session.clear()`` before
        ``session["user_id"] = …`` leaves the cookie from before the login dead (OWASP ASVS 5.0,
        7.2.4). After the response headers it keeps the secret.

        A session that is empty when the request ends is deleted and its cookie expired.
        """
        self._change().clear(permanent=self._state.repository.permanent)

    def copy(self) -> dict[str, Any]:
        """A plain dict of what is in the session; the values are the same objects."""
        return dict(self)

    def __copy__(self) -> dict[str, Any]:
        """:meth:`copy`: a plain dict, never a second session of the same request."""
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """A plain dict with copies of the values."""
        return deepcopy(self.copy(), memo)

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a session belongs to its request and is not pickled: dict(session) is")

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self) | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | dict(self) if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Session:  # type: ignore[misc]  # `|=` is in place, `|` not
        self.update(other)
        return self

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {'not loaded' if self._state.snapshot is None else 'loaded'}>"
        )

    # Beyond a dict

    @overload
    def mutate(self, key: str, function: Callable[[Any], T]) -> T: ...
    @overload
    def mutate(self, key: str, function: Callable[[T], T], default: T) -> T: ...
    def mutate(self, key: str, function: Function, default: Any = None) -> Any:
        """Replace the value of *key* by ``function(value)``; the new value.

        *function* gets a copy of the value, or *default* if there is none, and returns the new one.
        If another request has changed the key when this one is saved, *function* is applied again,
        to what that request left: it must do nothing else, and the value returned here is then
        not the final one. Saved when the request ends.
        """
        key = check_key(key)
        value = self.get(key, default)  # an undecodable value is met here, not in a merge
        if self._state.names_user(key):
            self[key] = changed = function(deepcopy(value))
            return changed
        return self._change().mutate(key, function, default, self._state.load().values)

    @overload
    def increment(self, key: str, by: int = 1) -> int: ...
    @overload
    def increment(self, key: str, by: Number) -> Number: ...
    def increment(self, key: str, by: Any = 1) -> Any:
        """Add *by* to the number under *key*, or to 0; the new number. However many requests do it
        at once, all are counted. Saved when the request ends."""
        return self.mutate(key, lambda value: value + by, default=0)

    def get_or_create(self, key: str, factory: Callable[[], T]) -> T:
        """The value of *key* that all overlapping requests of this session agree on.

        If the key is missing, ``factory()`` is saved at once, that key alone (one round trip), and
        what is returned is what the store then holds: the first writer's value.
        """
        key = check_key(key)
        if key in self:
            present: T = self[key]
            return present
        draft, made = self._change(), factory()
        if key in draft.changes or self._state.ended is not None or self._state.names_user(key):
            self[key] = made  # this request has removed it, so this request is the first writer
            self.save()
            kept: T = self.get(key, made)
            return kept
        state = self._state
        snapshot, logs_in = state.load(), state.rights().log_in()
        if snapshot.attached:
            edit = draft.first_writer(key, made, snapshot.values)
            draft.change_header().forced = True  # so that a ``renews`` that asks sees a write
            outcome = state.repository.update(snapshot, edit, active=state.counts())
            if outcome is DROPPED and logs_in:
                state.begin_own()
            else:
                draft.follow(snapshot.values)
                draft.note_assigned(key)
                state.settle(outcome, snapshot)
        if not snapshot.attached:
            if logs_in:
                self[key] = made
            else:
                self._look().show(key, made)
        agreed: T = self[key]
        return agreed

    def regenerate(self) -> None:
        """Give the session a new secret and cookie, keeping its data; the old cookie is dead.

        Done in one atomic write when the request ends. For whenever rights change (OWASP ASVS 5.0,
        7.2.4). A request that is still in flight with the old cookie changes nothing any more.
        """
        self._change("a new secret needs a cookie").change_header().secret = new_secret()

    def login(self, owner: str) -> None:
        """:meth:`regenerate`, with *owner* noted and the absolute lifetime started again.

        If the session belongs to another owner, what it held before this request goes, and what
        this request has put stays. A ``permanent`` that this request has set stays. It keeps its
        id. A login is never dropped: if another request has replaced or ended the session in the
        meantime, what this request has put goes into a session of its own.

        A store that lists sessions by owner lists this one under *owner* alone, in the save's round
        trip (in a Redis Cluster, up to two more). Loads. Raises ``TypeError`` for what is
        no text, :exc:`~wsgi_sessions.UnsupportedValue` for a lone surrogate and for more than 1,024
        bytes of UTF-8.
        """
        owner, former = check_owner(owner), self.owner
        self.regenerate()
        state, draft = self._state, self._look()
        if former not in (None, owner):
            draft.change_hands(state.load().values, permanent=state.repository.permanent)
        draft.log_in(owner)

    def invalidate(self) -> None:
        """End the session: when the request ends, its record is deleted and its cookie expired.

        The object goes on as a new, empty session; what is put into it then gets a new id.
        """
        self._change("" if self._state.phase is BY_ID else "the cookie has to be expired")
        self._state.end()

    def create(self) -> None:
        """Store the session although it is empty, when the request ends, since its :attr:`id` is
        to be kept elsewhere. It stays when it is empty again, until :meth:`clear` or
        :meth:`invalidate`."""
        self._change().change_header().kept = True

    def renew(self) -> None:
        """Count this request as activity, however recent the last was: the idle lifetime starts
        again and the cookie goes out afresh; after the headers (a websocket, a long stream) without
        the cookie. Nothing where no session is stored. Loads; one round trip when the request
        ends."""
        self._look()
        if self._state.load().record is not None:
            self._change().change_header().renews = True

    def reload(self) -> bool:
        """Read the session again from the store, for a websocket or a long stream: whether it is
        still alive. What was changed and not saved is forgotten, as by :meth:`rollback`. If the
        session has ended, or its secret was replaced, it reads as empty from now on and nothing
        more is saved. One round trip."""
        self._look()
        return self._state.reload()

    def rollback(self) -> None:
        """Forget what this request has changed and not saved, a logout or login included. Costs
        nothing; what is looked at next is read from what was loaded."""
        self._state.rollback()

    def save(self) -> None:
        """Commit now what would be committed when the request ends; the cookie goes out with the
        headers. For what must be stored before something else happens: a long stream, a redirect
        to another host.

        Raises :exc:`~wsgi_sessions.StoreUnavailable`, :exc:`~wsgi_sessions.ConflictError`,
        :exc:`~wsgi_sessions.SessionTooLarge` or :exc:`~wsgi_sessions.UnsupportedValue`; what was
        stored before is then intact.
        """
        self._state.save()

    # How it is done

    def _look(self) -> Draft:
        """Whatever looks at the session comes by here."""
        self.accessed = True
        state = self._state
        return state.draft or state.look()

    def _change(self, needs_cookie: str = "") -> Draft:
        """Whatever changes the session comes by here, and says why the cookie must change too."""
        if self._state.phase is not OPEN:
            self._state.check_late(needs_cookie)
        return self._look()


def open_session(
    repository: SessionRepository,
    resolve: Resolve,
    cookie_header: str,
    environ: dict[str, Any] | None,
) -> Session:
    """The session of a request. No I/O. (Neither class has an ``__init__``, to save two calls in
    each request.)"""
    session, state = Session(), RequestState()
    state.repository, state.resolve = repository, resolve
    state.cookie_header, state.environ = cookie_header, environ
    state.phase = OPEN
    state.logged_in = False
    state.snapshot = state.draft = state.ended = state.cookie = None
    session._state = state
    session.accessed = False
    return session


def close_unloaded(session: Session) -> bool:
    """The request is over, if nothing has looked at its session, or at most asked for a key at a
    first visit; whether that is so. Most requests."""
    state = session._state
    if session.accessed and (state.cookie_header or state.snapshot or state.draft):
        return False
    state.phase = OVER
    state.environ = None
    return True


state_of: Callable[[Session], RequestState] = attrgetter("_state")
"""What a manager works on. Not for applications. (Where each request comes by, ``session._state``
takes 300 instructions less.)"""


def is_open(session: object) -> bool:
    """Whether this is a session of ours whose response headers are still to come."""
    return isinstance(session, Session) and session._state.phase is OPEN


def is_loaded(session: Session) -> bool:
    """Whether what the request's cookie opens was looked up already. Loads nothing."""
    return session._state.snapshot is not None


def dismiss_changes(session: Session) -> None:
    """Save nothing of what was changed until now, unless more is changed; all of it can still be
    read. Loads nothing."""
    session._state.dismiss()


def is_nobodys(session: Session) -> bool:
    """Whether this session is nobody's because several cookies opened a living one each, or because
    the one that the cookie names could not be read. Loads nothing."""
    snapshot = session._state.snapshot
    return snapshot is not None and (bool(snapshot.rivals) or snapshot.unread)


def _plain(key: Any) -> Any:
    """The text of a key that is of a subclass of ``str``, an enumeration's for example, whose own
    hash may be another; any other as it is."""
    return str.__str__(key) if issubclass(type(key), str) else key


def check_key(key: object) -> str:
    """*key* as a plain ``str``, if a session can have it. Raises
    :exc:`~wsgi_sessions.UnsupportedValue`."""
    if type(key) is not str:
        key = _plain(key)
        if type(key) is not str:
            raise UnsupportedValue("session", f"keys are str, not {type(key).__name__}")
    if key.isascii():
        return key
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UnsupportedValue("session", "a key holds a lone surrogate") from None
    return key
