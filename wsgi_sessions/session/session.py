"""The session of one request: a dict, loaded when it is looked at, saved where it changed.

How this works. A :class:`Session` starts with nothing but the request's ``Cookie`` header. The
first look resolves that to an :class:`~wsgi_sessions.session.snapshot.Snapshot`: what the store
holds for the cookie, or a new session, or one whose changes lead nowhere because its cookie was
replaced meanwhile. What the request reads and changes is in its
:class:`~wsgi_sessions.session.draft.Draft`. At the end :meth:`Session.save` has the manager replace
the snapshot's record by the draft's edit of it, under compare-and-set.

Rules for whoever edits this: the store is reached through the manager only, and nothing is loaded
to write; a cookie is only ever promised (``_cookie``) after the store has accepted a
compare-and-set, because that proves that no newer login exists.
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
from enum import Enum
from typing import Any, NoReturn, Protocol

from wsgi_sessions.cookie import new_secret
from wsgi_sessions.errors import SessionClosed, UnsupportedValue
from wsgi_sessions.record import Codec, Record
from wsgi_sessions.session.changes import MISSING, Function
from wsgi_sessions.session.draft import Draft
from wsgi_sessions.session.snapshot import DROPPED, ENDED, SAVED, Edit, Outcome, Snapshot

__all__ = ["Cookie", "Session"]


class Cookie(Enum):
    """What the response has to tell the browser."""

    ISSUE = "set it"
    EXPIRE = "expire it"


class Phase(Enum):
    """How far the request is."""

    OPEN = "the response headers are still to come"
    SENT = "the response headers have been sent"
    OVER = "the request is over"


# Python 3.11 takes 1 k instructions for each Phase.OPEN.
ISSUE, EXPIRE = Cookie
OPEN, SENT, OVER = Phase


class Manager(Protocol):
    """What a session needs of :class:`wsgi_sessions.SessionManager`."""

    @property
    def codec(self) -> Codec: ...
    @property
    def permanent(self) -> bool: ...
    @property
    def in_cookie(self) -> bool: ...
    def now(self) -> float: ...
    def load(self, cookie_header: str, *, strict: bool = False) -> Snapshot: ...
    def renewal_due(self, snapshot: Snapshot) -> bool: ...
    def update(self, snapshot: Snapshot, edit: Edit, *, force: bool = False) -> Outcome: ...
    def end(self, snapshot: Snapshot) -> None: ...
    def dropped(self, snapshot: Snapshot) -> None: ...
    def undecodable(self, snapshot: Snapshot) -> None: ...


class Session(MutableMapping[str, Any]):
    """The session of one request, a mapping of ``str`` to values of the supported types.

    Looking at it costs one round trip to the store the first time, none if the request has no valid
    cookie; changing it costs one more when the request ends. A value is encoded when it is
    assigned: :exc:`~wsgi_sessions.UnsupportedValue` is raised on the guilty line. What loads may
    raise :exc:`~wsgi_sessions.StoreUnavailable`.

    Not to be shared between threads, no more than a dict that is being changed.
    """

    __slots__ = (
        "__weakref__",
        "_cookie",
        "_cookies",
        "_draft",
        "_ended",
        "_manager",
        "_phase",
        "_snapshot",
        "accessed",
    )

    accessed: bool
    """Whether anything has looked at the session or changed it: the response varies by cookie."""

    def __init__(self, manager: Manager, cookies: str) -> None:
        self._manager = manager
        self._cookies = cookies
        self.accessed = False
        self._phase = OPEN
        self._snapshot: Snapshot | None = None
        self._draft: Draft | None = None
        self._ended: Snapshot | str | None = None
        self._cookie: Cookie | None = None

    # State

    @property
    def id(self) -> str:
        """The public name of the session, 22 characters, safe to log. It never changes."""
        self._look()
        return self._load().name()

    @property
    def sid(self) -> str:
        """Id and secret, 44 characters: who has it has the session. Never log it."""
        return self.id + (self._look().secret or self._load().secret)

    @property
    def new(self) -> bool:
        """Whether this request found no session."""
        self._look()
        return self._load().new

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser, and ``permanent_lifetime`` holds for it."""
        asked = self._look().permanent
        record = self._load().record
        if asked is MISSING:
            return self._manager.permanent if record is None else record.permanent
        return bool(asked)

    @permanent.setter
    def permanent(self, value: bool) -> None:
        if self._phase is SENT and bool(value) == self.permanent:
            return
        self._change("permanent is an attribute of the cookie").permanent = bool(value)

    @property
    def created_at(self) -> float:
        """When the session began, or its owner logged in: seconds since the epoch."""
        self._look()
        snapshot = self._load()
        return snapshot.opened_at if snapshot.record is None else snapshot.record.created_at

    @property
    def owner(self) -> str | None:
        """Who logged in, as given to :meth:`login`."""
        asked: Any = self._look().owner
        record = self._load().record
        owner: str | None = record and record.owner if asked is MISSING else asked
        return owner

    @property
    def modified(self) -> bool:
        """Whether there is anything to save. Loads nothing.

        Changes inside values are noticed without it. It may be set, as programs written for other
        libraries do: ``True`` saves the session even if nothing changed, ``False`` does nothing.
        """
        draft = self._draft
        if draft is None:
            return self._ended is not None
        draft.collect()
        record = None if self._snapshot is None else self._snapshot.record
        if record is None or draft.forced or self._ended is not None:
            return draft.has_changes() or self._ended is not None
        return draft.edit(record, self._manager.now()) != record

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            self._change().forced = True

    # The mapping

    def __getitem__(self, key: str) -> Any:
        draft = self._look()
        if key in draft.live:
            return draft.live[key]
        try:
            return draft.get(key, self._load().values)
        except ValueError:
            self._give_up()
            raise KeyError(key) from None

    def get(self, key: str, default: Any = None) -> Any:
        if self._draft is None and not self._cookies:
            self.accessed = True  # a first visit: half of what the rest takes
            return default
        draft = self._look()
        if key not in draft.live and not draft.has(key, self._load().values):
            return default  # Mapping.get catches a KeyError for it: 6 k instructions
        return super().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        _check_key(key)
        self._change().put(key, value)

    def __delitem__(self, key: str) -> None:
        draft = self._look()
        if key not in draft.live and not draft.has(key, self._load().values):
            raise KeyError(key)
        self._change().delete(key)

    def __contains__(self, key: object) -> bool:
        """Decodes the value: what is said to be there can be had."""
        self._look()
        return isinstance(key, str) and super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        """Decodes all values, for the same reason; ``len`` decodes none."""
        draft = self._look()
        try:
            draft.get_all(self._load().values)
        except ValueError:
            self._give_up()
        return iter(list(draft.view(self._load().values)))

    def __len__(self) -> int:
        return len(self._look().view(self._load().values))

    def keys(self) -> KeysView[str]:
        self._look()
        return super().keys()

    def values(self) -> ValuesView[Any]:
        self._look()
        return super().values()

    def items(self) -> ItemsView[str, Any]:
        self._look()
        return super().items()

    def clear(self) -> None:
        """Remove everything: keys this request never saw and the owner too; ``permanent`` is again
        what new sessions begin as.

        A session that is empty when the request ends is deleted and its cookie expired.
        """
        self._change().clear(permanent=self._manager.permanent)

    def copy(self) -> dict[str, Any]:
        """A plain dict of what is in the session; the values are the same objects."""
        return dict(self)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self) | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | dict(self) if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Session:  # type: ignore[misc]  # `|=` is in place, `|` not
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'not loaded' if self._snapshot is None else 'loaded'}>"

    # Beyond a dict

    def mutate(self, key: str, function: Function, default: Any = None) -> Any:
        """Replace the value of *key* by ``function(value)``; the new value.

        *function* gets a copy of the value, or *default* if there is none, and returns the new one.
        If another request has changed the key when this one is saved, *function* is applied again,
        to what that request left: it must do nothing else, and the value returned here is then
        not the final one. Saved when the request ends.
        """
        _check_key(key)
        self.get(key)  # an undecodable value is met here, not in a merge
        return self._change().mutate(key, function, default, self._load().values)

    def increment(self, key: str, by: int = 1) -> Any:
        """Add *by* to the number under *key*, or to 0; the new number. However many requests do it
        at once, all are counted. Saved when the request ends."""
        return self.mutate(key, lambda value: value + by, default=0)

    def get_or_create(self, key: str, factory: Callable[[], Any]) -> Any:
        """The value of *key* that all overlapping requests of this session agree on.

        If the key is missing, ``factory()`` is saved at once, that key alone (one round trip), and
        what is returned is what the store then holds: the first writer's value.
        """
        _check_key(key)
        if key in self:
            return self[key]
        draft, made = self._change(), factory()
        if key in draft.changes or self._ended is not None:
            self[key] = made  # this request has removed it, so this request is the first writer
            self.save()
            return made
        snapshot = self._load()
        if snapshot.attached:
            outcome = self._manager.update(snapshot, draft.first_writer(key, made))
            draft.follow(snapshot.values)
            self._settle(outcome, snapshot)
        if not snapshot.attached:
            self._look().live[key] = made
        return self[key]

    def regenerate(self) -> None:
        """Give the session a new secret and cookie, keeping its data; the old cookie is dead.

        Done in one atomic write when the request ends. For whenever rights change (OWASP ASVS 5.0,
        7.2.4). A request that is still in flight with the old cookie changes nothing any more.
        """
        self._change("a new secret needs a cookie").secret = new_secret()

    def login(self, owner: str) -> None:
        """:meth:`regenerate`, with *owner* noted and the absolute lifetime started again.

        If the session belongs to another owner, it first loses all its data, as by :meth:`clear`:
        what is for *owner* is put into it afterwards. A ``permanent`` that this request has set
        stays. It keeps its id, so that no request in flight disturbs the login.

        A store that lists sessions by owner lists this one, which costs one round trip more, and
        again one to list it no more under another owner. Loads.
        """
        if not isinstance(owner, str) or not owner:
            raise TypeError("owner must be a non-empty str: login(str(user.id))")
        self.regenerate()
        draft = self._look()
        if self.owner not in (None, owner):
            permanent = draft.permanent
            draft.clear(permanent=self._manager.permanent if permanent is MISSING else permanent)
        draft.owner, draft.restarted = str(owner), True

    def invalidate(self) -> None:
        """End the session: when the request ends, its record is deleted and its cookie expired.

        The object goes on as a new, empty session; what is put into it then gets a new id.
        """
        self._change("the cookie has to be expired")
        if self._ended is None:
            self._ended = self._cookies if self._snapshot is None else self._snapshot
        self._start_anew()

    def save(self) -> None:
        """Commit now what would be committed when the request ends; the cookie goes out with the
        headers. For what must be stored before something else happens: a long stream, a redirect
        to another host.

        Raises :exc:`~wsgi_sessions.StoreUnavailable`, :exc:`~wsgi_sessions.ConflictError`,
        :exc:`~wsgi_sessions.SessionTooLarge` or :exc:`~wsgi_sessions.UnsupportedValue`; what was
        stored before is then intact.
        """
        draft = self._draft
        if draft is None:
            return
        draft.collect()
        if self._ended is not None:
            self._end(self._ended)
        changed = draft.has_changes()
        if self._snapshot is None and not changed:
            return
        snapshot = self._load()
        if snapshot.detached_from:
            self._drop(snapshot)
            return
        due = self._phase is OPEN and self._manager.renewal_due(snapshot)
        if changed or due:
            permanent = _permanent(snapshot.record)
            outcome = self._manager.update(snapshot, draft.edit, force=due or draft.forced)
            reshaped = permanent != _permanent(snapshot.record)
            new_cookie = due or bool(draft.secret) or reshaped
            snapshot.secret = draft.secret or snapshot.secret
            draft.saved(snapshot.values)
            self._settle(outcome, snapshot, new_cookie=new_cookie)

    # How it is done

    def _look(self) -> Draft:
        """Whatever looks at the session comes by here."""
        self.accessed = True
        if self._draft is None:
            self._draft = Draft(self._manager.codec)
        return self._draft

    def _change(self, needs_cookie: str = "") -> Draft:
        """Whatever changes the session comes by here, and says why the cookie must change too."""
        if self._phase is not OPEN:
            self._check_late(needs_cookie)
        return self._look()

    def _check_late(self, needs_cookie: str) -> None:
        if self._phase is OVER:
            self._too_late("nothing can be saved any more")
        snapshot = self._load()
        if self._manager.in_cookie:
            needs_cookie = "the cookie holds the session"
        elif snapshot.record is None:
            needs_cookie = "a new session needs a cookie: store something, or call save(), earlier"
        if snapshot.attached and needs_cookie:
            self._too_late(needs_cookie)

    def _too_late(self, why: str) -> NoReturn:
        raise SessionClosed(f"{self._phase.value}, and {why}")

    def _load(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = self._manager.load(self._cookies)
        return self._snapshot

    def _start_anew(self) -> None:
        self._snapshot = Snapshot(self._manager.now())
        self._draft = Draft(self._manager.codec)

    def _give_up(self) -> None:
        """A value cannot be decoded: that costs the session, as a damaged record does.

        What this request has put, and a login, go into the new one."""
        self._manager.undecodable(self._load())
        self._snapshot = Snapshot(self._manager.now())
        self._look().detach()

    def _end(self, ended: Snapshot | str) -> None:
        snapshot = self._manager.load(ended, strict=True) if isinstance(ended, str) else ended
        if snapshot.detached_from:
            # A login has just replaced the cookie; nothing of this request may overwrite it.
            self._load().detached_from = snapshot.detached_from
        elif snapshot.record is not None:
            self._manager.end(snapshot)
            self._cookie = EXPIRE
        self._ended = None

    def _drop(self, snapshot: Snapshot) -> None:
        draft = self._look()
        if draft.has_changes():
            self._manager.dropped(snapshot)
            draft.forget()

    def _settle(self, outcome: Outcome, snapshot: Snapshot, *, new_cookie: bool = False) -> None:
        if outcome is ENDED:
            self._start_anew()
            self._cookie = EXPIRE
        elif outcome is DROPPED:
            self._draft = Draft(self._manager.codec)
            self._cookie = None  # also one that an earlier save() has promised
        elif outcome is SAVED and (new_cookie or not snapshot.issued_at):
            self._cookie = ISSUE
            snapshot.issued_at = self._manager.now()

    # For the ways in

    @property
    def _is_ending(self) -> bool:
        """Whether this request is a logout, carried out or not."""
        draft = self._draft
        emptied = draft is not None and draft.changes.cleared and not (draft.live or draft.owner)
        return emptied or self._ended is not None or self._cookie is EXPIRE


def _permanent(record: Record | None) -> bool:
    return record is not None and record.permanent


def _check_key(key: object) -> None:
    if type(key) is not str:
        raise UnsupportedValue("session", f"keys are str, not {type(key).__name__}")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UnsupportedValue("session", "a key holds a lone surrogate") from None
