"""What happens to the session of one request: loaded, changed, saved, and which cookie goes out.

How this works. A :class:`RequestState` starts with nothing but the request's ``Cookie`` header. The
first look resolves that to a :class:`~wsgi_sessions.session.snapshot.Snapshot`: the stored record
that the cookie opens, or a new session, or one whose changes lead nowhere because its cookie was
replaced in the meantime. What the request reads and changes is in its
:class:`~wsgi_sessions.session.draft.Draft`. :meth:`RequestState.save` has the repository replace
the snapshot's record by the draft's edit of it, under compare-and-set.

A login is the one thing that leads somewhere although its cookie was replaced or its session ended
in the meantime: what such a request has put goes into a session of its own, so that of two clicks
on "log in" whichever answer arrives is logged in.

Rules for maintainers: nothing is loaded to write; a cookie is only ever promised (``cookie``) after
the store has accepted a compare-and-set, because that proves that no newer login exists; or where
the answer to one with a new secret was lost.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NoReturn, Protocol

from wsgi_sessions.cookie import hash_secret, new_secret
from wsgi_sessions.errors import SessionClosed, SessionTooLarge, StoreError
from wsgi_sessions.record import MAX_DEVICE, PERMANENT, Record
from wsgi_sessions.session.changes import MISSING
from wsgi_sessions.session.draft import Draft, new_draft
from wsgi_sessions.session.header import UNCHANGED as UNCHANGED_HEADER
from wsgi_sessions.session.identity import Identity
from wsgi_sessions.session.lifetimes import falls_short, renewal_due
from wsgi_sessions.session.repository import SessionRepository
from wsgi_sessions.session.rights import NeedsCookie, Rights
from wsgi_sessions.session.snapshot import (
    DROPPED,
    ENDED,
    SAVED,
    UNAVAILABLE,
    UNCHANGED,
    Outcome,
    Snapshot,
    new_session,
)

__all__ = ["RequestState"]


class Cookie(Enum):
    """What the response has to say to the browser."""

    ISSUE = "set it"
    EXPIRE = "expire it"


class Phase(Enum):
    """How far the request is. It only goes forward: ``OPEN`` → ``SENT`` → ``OVER``, or from
    ``OPEN`` straight to ``OVER`` if no code of the application runs after the headers, or if the
    application raised. A session that is opened without a request goes ``BY_ID`` → ``OVER``."""

    OPEN = "the response headers are still to come"
    SENT = "the response headers have been sent"
    OVER = "the request is over"
    BY_ID = "the session was opened by its id, without a cookie"


class _Unseen(Enum):
    UNSEEN = "a session that was ended before anything looked at it"


# Python 3.11 takes 1,000 instructions for each Phase.OPEN.
ISSUE, EXPIRE = Cookie
OPEN, SENT, OVER, BY_ID = Phase
UNSEEN: Final = _Unseen.UNSEEN


class Resolve(Protocol):
    """Finds the session that a ``Cookie`` header stands for; *strict* raises a store's error
    whatever ``on_store_error`` says."""

    def __call__(self, cookie_header: str, *, strict: bool = False) -> Snapshot: ...


class RequestState:
    """The session of one request, as the library sees it. Made by ``open_session``."""

    __slots__ = (
        "cookie",
        "cookie_header",
        "draft",
        "ended",
        "environ",
        "logged_in",
        "phase",
        "repository",
        "resolve",
        "snapshot",
    )

    repository: SessionRepository
    resolve: Resolve
    cookie_header: str
    environ: dict[str, Any] | None
    """For options that are functions of it; dropped when the request is over, since it holds the
    session in its turn."""
    phase: Phase
    snapshot: Snapshot | None
    """What was loaded; ``None`` if nothing has looked yet."""
    draft: Draft | None
    """What was read and changed; ``None`` if nothing was."""
    ended: Snapshot | _Unseen | None
    """The session that the next save is to delete."""
    cookie: Cookie | None
    """What the store's acceptance of a save has promised to the browser."""
    logged_in: bool
    """Whether a login was stored."""

    def load(self) -> Snapshot:
        """The session as it was when this request first looked. One round trip, once."""
        snapshot = self.snapshot
        if snapshot is None:
            snapshot = self.snapshot = self.resolve(self.cookie_header)
        return snapshot

    def look(self) -> Draft:
        """The draft. Loads nothing."""
        draft = self.draft
        if draft is None:
            repository = self.repository
            draft = self.draft = new_draft(repository.codec, repository.merge_keys)
        return draft

    @property
    def is_ending(self) -> bool:
        """Whether this request is a logout, carried out or not: ``invalidate()``, a ``clear()``
        that is no login, a login key that is removed, or ``None``, or could not be removed, the
        last key removed. Loads nothing."""
        if self.ended is not None or self.cookie is EXPIRE:
            return True
        draft = self.draft
        if draft is None:
            return False
        snapshot = self.snapshot or new_session(0.0)  # of what cannot be read nothing is known
        rights = Rights(draft, snapshot, self.repository.identity)
        if rights.log_in():
            return False
        there = snapshot.record is not None
        emptied = there and rights.owner() is None and not draft.view(snapshot.values)
        unseen = (self.snapshot is None or snapshot.unread) and self._touches_login(draft)
        return draft.changes.cleared or emptied or unseen or rights.log_out()

    @property
    def needs_cookie(self) -> bool:
        """Whether what was changed is worth nothing without a new cookie. Loads if anything was
        changed."""
        draft = self.draft
        if draft is None or not self.has_changes():
            return False
        return (
            bool(draft.header.secret) or self.load().record is None or self.rights().need_secret()
        )

    def has_changes(self) -> bool:
        """Whether there is anything to save. Loads nothing."""
        draft = self.draft
        if draft is None:
            return self.ended is not None
        if draft.dismissed is not None and draft.is_dismissed:
            return False
        draft.collect()
        record = None if self.snapshot is None else self.snapshot.record
        if record is None or draft.header.forced or self.ended is not None:
            return draft.has_changes() or self.ended is not None
        return draft.edit(record, self.repository.now()) is not record

    # Changing

    def check_late(self, needs_cookie: str) -> None:
        """Raise :exc:`~wsgi_sessions.SessionClosed` if a change comes too late: it needs a cookie,
        for the reason *needs_cookie*, and the headers are out; or the request is over."""
        if self.phase is OVER:
            self._too_late("nothing can be saved any more")
        snapshot = self.load()
        if self.repository.in_cookie:
            needs_cookie = "the cookie holds the session"
        elif snapshot.record is None:
            needs_cookie = "a new session needs a cookie: store something, or call save(), earlier"
        if snapshot.attached and needs_cookie:
            self._too_late(needs_cookie)

    def names_user(self, key: str) -> bool:
        """Whether a change of *key* may change who is logged in."""
        identity = self.repository.identity
        return identity is not None and identity.decides(key)

    def check_late_login(self, key: str, value: Any) -> None:
        """Raise :exc:`~wsgi_sessions.SessionClosed` if *value*, or ``MISSING``, under a login key
        would change who is logged in, which needs a cookie."""
        data = MISSING if value is MISSING else self.look().encode(key, value)
        if self.load().attached and self.rights().would_change(key, data):
            self._too_late("a login or logout needs a cookie")

    def _too_late(self, why: str) -> NoReturn:
        raise SessionClosed(f"{self.phase.value}, and {why}")

    def end(self) -> None:
        """Delete the session with the next save; until then go on as a new, empty one."""
        if self.ended is None:
            self.ended = UNSEEN if self.snapshot is None else self.snapshot
        self._start_over()

    def replace_undecodable(self) -> None:
        """A value cannot be decoded: that costs the session, as a damaged record does.

        What this request has put, and a login, go into the new one."""
        self.repository.note_undecodable(self.load())
        self.begin_own()

    def close(self) -> None:
        """The request is over."""
        self.phase = OVER
        self.environ = None

    def reload(self) -> bool:
        """Load again, and forget what was changed; whether the session is alive. It is known by
        its id and the secret that this request knows, which may be newer than the cookie."""
        self.rollback()
        snapshot, repository = self.snapshot, self.repository
        if snapshot is None or snapshot.record is None or repository.in_cookie:
            self.snapshot = None
            return self.load().record is not None
        found = repository.load_alive(snapshot.id)
        if found is None or found[0].secret_hash != snapshot.record.secret_hash:
            snapshot.detach()
            return False
        record, stored = found
        snapshot.record, snapshot.version = record, stored.version
        return True

    def rollback(self) -> None:
        """Forget what was changed and has not been saved."""
        if self.ended is not None:
            self.snapshot = None if self.ended is UNSEEN else self.ended
            self.ended = None
        self.draft = None

    def dismiss(self) -> None:
        """Save nothing of what was changed until now, unless more is changed. Loads nothing."""
        if self.ended is not None:
            self.rollback()
        elif self.draft is not None:
            self.draft.dismiss()

    def _start_over(self) -> None:
        self.snapshot = new_session(self.repository.now())
        self.draft = None
        self.look()

    # Who is logged in

    def rights(self) -> Rights:
        """What the changes of this request mean for who is logged in. Loads."""
        return Rights(self.look(), self.load(), self.repository.identity)

    def leave(self, key: str) -> None:
        """The login key *key* was to be removed, and is not there or cannot be read. If that is
        because the store fails, the browser forgets the session; if several living sessions make
        this request nobody, the next save ends all of them."""
        identity = self.repository.identity
        if identity is None or key not in identity.login_keys or self.phase is not OPEN:
            return
        if self.snapshot is None or self.snapshot.unread:
            self.cookie = EXPIRE
        elif self.snapshot.rivals:
            self.end()

    def ensure_secret(self) -> None:
        """Make the new secret that what was changed needs, if it needs one: for a ``clear()`` and
        a change of who is logged in. After the headers ``clear()`` needs none."""
        draft = self.look()
        if draft.header.secret or self.phase is not OPEN:
            return
        if draft.changes.cleared or self.rights().change():
            draft.change_header().secret = new_secret()

    def edit(self, record: Record, now: float) -> Record:
        """*record* with all changes of this request made, and what follows from them."""
        try:
            edited = self.rights().edit(record, now, late=self.phase is not OPEN)
        except NeedsCookie:
            self._too_late("a login or logout needs a cookie")
        if edited.superseded and self.repository.in_cookie:
            return edited.replace(superseded=())  # there a replaced secret opens what it opened
        return edited

    # Saving

    def save(self) -> None:
        """Store what has changed, if anything has. See :meth:`wsgi_sessions.Session.save`."""
        draft, changed, renews = self.draft, False, False
        if draft is not None and draft.dismissed is not None and draft.is_dismissed:
            draft = self.draft = None
        if draft is not None:
            draft.collect()
            if self.ended is not None:
                self._delete(self.ended)
            changed = bool(draft.changes.results) or draft.has_changes()  # seldom a call
            renews = draft.header.renews
        snapshot = self.snapshot
        if snapshot is None and (changed or renews):
            snapshot = self.load()
        if snapshot is None:
            return
        if snapshot.detached_from:
            self._save_detached(snapshot)
            return
        record, due = snapshot.record, False
        if record is not None and self.phase is OPEN:
            idle = self.repository.lifetimes.idles[record.flags & PERMANENT]
            now = snapshot.opened_at
            due = renewal_due(record, snapshot.issued_at, now) or (
                record.idle < idle and falls_short(record, idle, now)
            )
            due = due and self.repository.may_renew()
        due = due or (renews and record is not None)
        if changed or due:
            active = (self.repository.renews is None and self.phase is not BY_ID) or self.counts()
            if changed or active:
                self._update(snapshot, due=due and active, active=active)

    def counts(self) -> bool:
        """Whether this is activity of the visitor's, so that what it saves prolongs the session: a
        request, unless ``renews`` says no, and whatever calls :meth:`Session.renew`."""
        if self.draft is not None and self.draft.header.renews:
            return True
        if self.phase is BY_ID:
            return False
        renews, environ = self.repository.renews, self.environ
        return renews is None or environ is None or bool(renews(environ))

    def _update(self, snapshot: Snapshot, *, due: bool = False, active: bool = True) -> None:
        draft, repository = self.draft or self.look(), self.repository
        before, cleared, logs_in = snapshot.record, draft.changes.cleared, False
        identity = repository.identity
        plain = (identity is None and not repository.in_cookie) or _leaves_login(identity, draft)
        if cleared or draft.header.secret or not plain:
            logs_in = self.phase is OPEN and self.rights().log_in()
            self.ensure_secret()
            if logs_in:
                draft.change_header().device = self._device()
            if snapshot.rivals and (logs_in or cleared or self._touches_login(draft)):
                self._end_rivals(snapshot)
                self.logged_in = True  # so that the other cookies are expired
        edit = draft.edit if plain else self.edit
        try:
            outcome = repository.update(snapshot, edit, force=due, active=active)
        except (StoreError, SessionTooLarge) as error:
            if not (due and repository.excuses(error, snapshot, edit)):
                self._promise_in_doubt(snapshot, draft, logs_in=logs_in)
                raise
            outcome, due = UNCHANGED, False
        if outcome is DROPPED and logs_in:
            self._update(self.begin_own())  # a login
            return
        secret = draft.header.secret
        new_cookie = due or secret != "" or before is None or _is_reshaped(before, snapshot.record)
        snapshot.secret = secret or snapshot.secret
        draft.saved(snapshot.values if snapshot.disturbed else None)
        if logs_in:
            self.logged_in = True
            repository.event("login", snapshot.id)
        self.settle(outcome, snapshot, new_cookie=new_cookie)
        if outcome is UNCHANGED and cleared and snapshot.was_sent and snapshot.record is None:
            self.cookie = EXPIRE  # a logout, whatever its cookie opens

    def _promise_in_doubt(self, snapshot: Snapshot, draft: Draft, *, logs_in: bool) -> None:
        """A save has failed. Where a login or a new secret may be stored nevertheless, the browser
        gets the new cookie: the old one would open nothing then."""
        secret = draft.header.secret or snapshot.secret
        is_new = self.phase is OPEN and (draft.header.secret or logs_in)
        if is_new and snapshot.in_doubt == hash_secret(secret):  # not that of an earlier save
            snapshot.secret = secret
            self.cookie = ISSUE

    def _device(self) -> str | None:
        """What is kept at a login for the list of its owner's sessions."""
        describe, environ = self.repository.describe_device, self.environ
        if describe is None or environ is None:
            return None
        text = describe(environ)
        if not (text is None or isinstance(text, str)):
            raise TypeError(f"describe_device gave no str or None, but {type(text).__name__}")
        return text and text[:MAX_DEVICE].encode(errors="replace").decode()

    def _touches_login(self, draft: Draft) -> bool:
        """Whether a login key was set or removed, to whatever value."""
        identity = self.repository.identity
        return identity is not None and any(key in draft.changes for key in identity.login_keys)

    def begin_own(self) -> Snapshot:
        """Go on with a session of its own, into which goes what this request has put."""
        self.snapshot = new_session(self.repository.now())
        self.look().detach()
        return self.snapshot

    def _save_detached(self, snapshot: Snapshot) -> None:
        draft = self.look()
        if snapshot.why is not UNAVAILABLE and self.phase is OPEN and self.rights().log_in():
            self._update(self.begin_own())  # a login
            return
        if snapshot.unread and self.is_ending:
            self.cookie = EXPIRE
        if draft.has_changes():
            self.repository.note_dropped(snapshot)
            draft.forget()

    def _delete(self, ended: Snapshot | _Unseen) -> None:
        snapshot = (
            self.resolve(self.cookie_header, strict=True) if isinstance(ended, _Unseen) else ended
        )
        if snapshot.detached_from:
            # A login has just replaced the cookie; nothing of this request may overwrite it.
            self.load().detach(snapshot.detached_from, snapshot.why)
            if snapshot.unread:
                self.cookie = EXPIRE
        else:
            if snapshot.record is not None:
                self.repository.end(snapshot)
            self._end_rivals(snapshot)
            if snapshot.record is not None or snapshot.was_sent:
                self.cookie = EXPIRE
        self.ended = None

    def _end_rivals(self, snapshot: Snapshot) -> None:
        """The request has proved that all of them are its own."""
        for rival in snapshot.rivals:
            self.repository.end(rival)
        snapshot.rivals = ()

    def settle(self, outcome: Outcome, snapshot: Snapshot, *, new_cookie: bool = False) -> None:
        """Draw the consequences of an update."""
        if outcome is SAVED:
            if new_cookie or not snapshot.issued_at:
                self.cookie = ISSUE
                snapshot.issued_at = self.repository.now()
        elif outcome is ENDED:
            self._start_over()
            self.cookie = EXPIRE
        elif outcome is DROPPED:
            self.repository.note_dropped(snapshot)
            self.draft = None
            self.look()
            self.cookie = None  # also one that an earlier save() has promised


def _leaves_login(identity: Identity | None, draft: Draft) -> bool:
    """Whether no change can say anything of who is logged in. Nearly always."""
    changes = draft.changes
    unchanged = draft.header is UNCHANGED_HEADER and not changes.cleared
    return unchanged and (identity is None or identity.ignores(changes.results))


def _is_reshaped(before: Record, after: Record | None) -> bool:
    """Whether the cookie is to end at another time: with the browser, or after the idle seconds of
    a permanent session."""
    if after is None:
        return True
    permanent = after.flags & PERMANENT
    return permanent != before.flags & PERMANENT or bool(permanent and after.idle != before.idle)
