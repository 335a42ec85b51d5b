"""One record under compare-and-set: load it, update it, end it.

How this works. A :class:`SessionRepository` turns the bytes of a store into records and back:
packed, encrypted where there are keys, never larger than ``max_bytes``. :meth:`~SessionRepository
.update` replaces the record that a :class:`~wsgi_sessions.session.snapshot.Snapshot` was loaded as
by an *edit* of it. If another request was faster, the edit is made again on the record that is
stored by then, unless that one belongs to another login or is gone.

Rules for maintainers: no cookie and no WSGI here. Every call to the store goes through
``self.store``, the one guarded way to it. Nothing but a new id ever creates a record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from random import SystemRandom
from typing import Any

from wsgi_sessions.cookie import hash_secret, new_id
from wsgi_sessions.errors import (
    BadRecord,
    ConflictError,
    SessionError,
    SessionTooLarge,
    StoreUnavailable,
)
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.observe import no_event
from wsgi_sessions.record import (
    ENDED,
    LARGE,
    PERMANENT,
    Codec,
    Record,
    RecordCipher,
    ValueCodec,
    are_in_place,
    is_encrypted,
    is_newer,
    pack,
    pack_body,
    unpack,
    unpack_body,
)
from wsgi_sessions.session.identity import Identity, is_owner
from wsgi_sessions.session.lifetimes import Lifetimes, is_over, renewal_due
from wsgi_sessions.session.recent import LARGEST, RecentRecords
from wsgi_sessions.session.snapshot import (
    DROPPED,
    SAVED,
    SUPERSEDED,
    UNAVAILABLE,
    UNCHANGED,
    Edit,
    Outcome,
    Snapshot,
)
from wsgi_sessions.stores import GuardedStore, Stored

__all__ = ["DEFAULT_MAX_BYTES", "SessionRepository"]

DEFAULT_MAX_BYTES = 1 << 20
"""Bytes of a record that is saved."""
MOST_LOADED_BYTES = 16 << 20
"""A record that is larger is looked at only if ``max_bytes`` is larger too. So what was saved
before ``max_bytes`` was lowered is read, and what was planted costs no more than that."""

_ATTEMPTS = 32  # at a compare-and-set before ConflictError
_RENEWAL_PAUSE = 1.0  # seconds without a renewal, after one that failed
_LONGEST_WAIT = 0.5  # seconds, before another attempt
uniform: Callable[[float, float], float] = SystemRandom().uniform
"""It has no state that a fork in C would give to all workers."""


class SessionRepository:
    """Keeps the records of sessions in *store*."""

    def __init__(
        self,
        store: GuardedStore,
        *,
        codec: Codec,
        cipher: RecordCipher | None,
        lifetimes: Lifetimes,
        max_bytes: int,
        permanent: bool,
        in_cookie: bool,
        clock: Callable[[], float],
        before_create: Callable[[], object],
        log: ThrottledLog,
        security_log: ThrottledLog,
        identity: Identity | None = None,
        merge_keys: Collection[str] = (),
        event: Callable[[str, str | None], None] = no_event,
        renews: Callable[[dict[str, Any]], bool] | None = None,
        describe_device: Callable[[dict[str, Any]], str | None] | None = None,
    ) -> None:
        self.store = store
        self.codec: ValueCodec = ValueCodec(codec)
        self.identity = identity
        """What says who is logged in, if values do."""
        self.merge_keys = merge_keys
        self.describe_device = describe_device
        """Makes of a request's WSGI environment what is kept at a login; ``None``: nothing."""
        self.renews = renews
        """Says of a request's WSGI environment whether it counts as activity; ``None``: all do."""
        self.lifetimes = lifetimes
        self.permanent = permanent
        """What new sessions start as."""
        self.in_cookie = in_cookie
        """Whether the version that a save returns is the cookie itself."""
        self.now = clock
        self.log = log
        self.security_log = security_log
        self.event = event
        """Hears what happens rarely: see :mod:`wsgi_sessions.session.observed`."""
        self._cipher = cipher
        self._writes_plain = cipher is None or cipher.writes_plain
        self._recent = RecentRecords()
        self._max_bytes = max_bytes
        self._most_loaded = max(max_bytes, MOST_LOADED_BYTES)
        self.before_create = before_create
        self._said_no_index = False
        self._unrenewed_at = -_RENEWAL_PAUSE

    # Loading

    def load(self, id: str) -> tuple[Record, Stored] | None:
        """The record of the session *id* and the bytes it was read from; ``None`` if it is missing
        or cannot be used. One round trip. Raises :exc:`~wsgi_sessions.StoreUnavailable`."""
        stored = self.store.load(id)
        record = None if stored is None else self.unpack(id, stored)
        return None if record is None or stored is None else (record, stored)

    def load_alive(self, id: str) -> tuple[Record, Stored] | None:
        """The same; ``None`` too if the session has ended. One round trip."""
        found = self.load(id)
        return None if found is None or is_over(found[0], self.now()) else found

    def unpack(self, id: str, stored: Stored) -> Record | None:
        """The record in *stored*; ``None``, with a log entry, if it cannot be used. No I/O."""
        data = stored.data
        recent = self._recent.get(id)
        if recent is not None and type(data) is bytes and data == recent[0]:
            return recent[1]
        try:
            if not isinstance(data, bytes):  # SQLite keeps any type in any column
                raise BadRecord("not bytes")
            if len(data) > self._most_loaded:
                raise BadRecord("larger than max_bytes")
            record = unpack(data) if self._cipher is None else self._read(self._cipher, id, data)
            # An owner that no index can hold was stored before it was refused, or planted: it
            # costs the owner only.
            owner = record.owner
            if not (owner is None or is_owner(owner)):
                record = record.replace(owner=None)
            self._recent.add(id, data, record)
            return record
        except BadRecord as error:
            # It stays where it is: it may be of a newer version of this library.
            self.security_log.warning("session %s: the record cannot be used: %s", id, error)
            if not self.is_foreign(stored):
                self.event("damaged", id)
            return None

    def _read(self, cipher: RecordCipher, id: str, data: bytes) -> Record:
        if cipher.opens_plain and not is_encrypted(data):
            return unpack(data)
        body = cipher.decrypt(data, _context(id))
        if body is None:
            raise BadRecord("not encrypted, or with a key that is not here")
        return unpack_body(body)

    def is_foreign(self, stored: Stored) -> bool:
        """Whether what could not be unpacked is for other workers: its format is newer, or it is
        encrypted with a key that this process has not. No I/O."""
        data = stored.data
        if not isinstance(data, bytes):
            return False
        if is_encrypted(data):
            return self._cipher is None or not self._cipher.has_key_of(data)
        return is_newer(data)

    def _encrypted(self, id: str, record: Record) -> bytes:
        assert self._cipher is not None
        return self._cipher.encrypt(pack_body(record), _context(id))

    # Saving

    def may_renew(self) -> bool:
        """Whether a renewal is worth trying: not for a second after one that failed, since each
        might wait for the same lock."""
        return abs(self.now() - self._unrenewed_at) >= _RENEWAL_PAUSE

    def excuses(self, error: SessionError, snapshot: Snapshot, edit: Edit) -> bool:
        """Whether *error*, which is being handled, has kept a renewal from being done and nothing
        else: that is a log entry. No I/O."""
        record, now = snapshot.record, self.now()
        if record is None or edit(record, now) is not record:
            return False
        self._unrenewed_at = now
        if isinstance(error, StoreUnavailable):
            self.log.outage(logging.WARNING, "session %s could not be renewed", snapshot.id)
        else:
            self.log.warning("session %s could not be renewed: %s", snapshot.id, error)
        return True

    def update(
        self, snapshot: Snapshot, edit: Edit, *, force: bool = False, active: bool = True
    ) -> Outcome:
        """Compare-and-set: replace what *snapshot* was loaded as by ``edit(record, now)``.

        If another request was faster, *edit* is applied to the record that is stored by then,
        unless that belongs to another login or is gone: then nothing is saved and *snapshot* is
        detached. *force* renews the session, and saves a record that did not change too. If the
        request is not *active*, the session keeps its idle end, unless its secret, its lifetime or
        *permanent* changes. One round trip, two more for each conflict. Raises
        :exc:`~wsgi_sessions.StoreUnavailable`, :exc:`~wsgi_sessions.ConflictError` and
        :exc:`~wsgi_sessions.SessionTooLarge`.
        """
        if snapshot.record is None:
            return self._create(snapshot, edit)
        for attempt in range(_ATTEMPTS):
            now = self.now() + 0.0  # a clock may give an int, and a record holds none
            record = edit(snapshot.record, now)
            if force or record is not snapshot.record:
                record = self.lifetimes.applied(snapshot.record, record, renewed=force)
            else:
                return UNCHANGED
            renews = active or _renewing(snapshot.record, record)
            saved_at = now if renews else snapshot.record.saved_at
            if self._replace(snapshot, record, saved_at):
                return SAVED if record.values or not record.is_empty else Outcome.ENDED
            # Waits that grow outlast a worker that saves again and again without a pause. (If they
            # doubled, 1 of 100 requests by eight contenders would take 1.1 s; so it takes 0.2.)
            took = max(self.now() - now, 0.001)
            time.sleep(uniform(0, min(took * attempt**2, _LONGEST_WAIT)))
            if not self._reload(snapshot):
                return DROPPED
        raise ConflictError(
            f"session {snapshot.id} was changed by others {_ATTEMPTS} times in a row"
        )

    def _create(self, snapshot: Snapshot, edit: Edit) -> Outcome:
        self.before_create()
        # Nobody has seen its id: the application may have kept that elsewhere.
        may_move = not snapshot.id and self.store.has_places
        for _attempt in range(_ATTEMPTS):
            now = self.now() + 0.0
            id = snapshot.ensure_id()
            blank = self._blank(snapshot.secret, now)
            record = edit(blank, now)
            if record.flags != blank.flags or record.created_at != now:
                record = self.lifetimes.applied(blank, record, renewed=False)
            if not record.values and record.is_empty:
                return UNCHANGED
            if record.superseded:  # a secret that nobody was given
                record = record.replace(superseded=())
            if may_move:
                snapshot.id = id = self.store.reachable(id, new_id) or id
            try:
                if self._replace(snapshot, record, now):
                    return SAVED
            except StoreUnavailable:
                other = self.store.reachable(id, new_id, failed=True) if may_move else None
                if other is None:
                    raise
                snapshot.id, snapshot.in_doubt, may_move = other, b"", False
                continue
            snapshot.id = new_id()
            self.log.warning("session %s existed already, a new id was taken", id)
        raise ConflictError("the store refuses every new session")

    def _blank(self, secret: str, now: float) -> Record:
        """What a new session begins as."""
        flags, lifetimes = PERMANENT if self.permanent else 0, self.lifetimes
        idle, absolute = lifetimes.idles[self.permanent], lifetimes.absolute
        ends_at = None if absolute is None else now + absolute
        return Record(hash_secret(secret), now, now, ends_at, flags, idle, None, None, (), {})

    def _replace(self, snapshot: Snapshot, record: Record, saved_at: float) -> bool:
        """One attempt to make *record* the stored one, as if it was saved then."""
        if not record.values and record.is_empty:
            data, expires_at = ENDED, 0.0  # a compare-and-delete
        else:
            if record.saved_at != saved_at:
                record = record.holding(record.values, saved_at)
            data = pack(record) if self._writes_plain else self._encrypted(snapshot.id, record)
            if len(data) > self._max_bytes:
                raise SessionTooLarge(len(data), self._max_bytes)
            expires_at = record.expires_at
        before, owner = snapshot.record, record.owner
        was = None if before is None else before.owner
        id, replacing = snapshot.id, snapshot.version
        try:
            if (owner is None and was is None) or not self._is_to_list(snapshot, record):
                version = self.store.save(id, data, expires_at=expires_at, replacing=replacing)
            else:
                version = self.store.save_owned(
                    *(id, data), expires_at=expires_at, replacing=replacing, owner=owner, was=was
                )
        except StoreUnavailable as error:
            if error.applied is None:
                snapshot.in_doubt = record.secret_hash
            raise
        if version is None:
            return False
        size = len(data)
        small = size < LARGE or (size <= LARGEST and are_in_place(record.values))
        if small and data is not ENDED:
            self._recent.add(id, data, record)
        snapshot.in_doubt = b""
        snapshot.record, snapshot.version = record, version
        if self.in_cookie:
            snapshot.issued_at = 0.0  # the browser does not have this version yet
        return True

    def _reload(self, snapshot: Snapshot) -> bool:
        """After a conflict: go on from the stored record, if it is still the same login."""
        self.event("conflict", snapshot.id)
        found, before = self.load(snapshot.id), snapshot.record
        if (
            found is None
            or before is None
            or found[0].secret_hash not in (before.secret_hash, snapshot.in_doubt)
        ):
            snapshot.detach()
            return False
        record, stored = found
        snapshot.disturbed = True
        snapshot.record, snapshot.version = record, stored.version
        return True

    def end(self, snapshot: Snapshot) -> None:
        """Delete the session. One round trip."""
        self.store.delete(snapshot.id)
        self._recent.pop(snapshot.id, None)

    def _is_to_list(self, snapshot: Snapshot, after: Record) -> bool:
        """Whether a save of an owned session, or of one that was, changes the list of an owner: at
        a login, a logout, the end, and where the end moves further than ordinary saves move it.
        (Entries outlive that, see :class:`~wsgi_sessions.stores.OwnerIndex`.)"""
        before, now = snapshot.record, after.saved_at
        if not self.store.has_owners:
            if not self._said_no_index and after.owner is not None:
                self._said_no_index = True
                self.log.info("logins are not listed by owner: this store has no index of owners")
            return False
        return (
            before is None
            or before.owner != after.owner
            or before.created_at != after.created_at
            or before.idle != after.idle
            or (before.saved_at != now and renewal_due(after, snapshot.issued_at, now))
        )

    # Log entries

    def note_dropped(self, snapshot: Snapshot) -> None:
        """Changes were not saved because the session was replaced or ended in the meantime, or, of
        which the outage's own entry says enough, because the store did not answer."""
        if snapshot.why is UNAVAILABLE:
            return
        self.security_log.warning(
            "session %s: changes of a superseded request were dropped", snapshot.detached_from
        )
        if snapshot.why is SUPERSEDED:
            self.event("superseded", snapshot.detached_from)

    def note_undecodable(self, snapshot: Snapshot) -> None:
        """A value of the record cannot be decoded."""
        self.security_log.warning(
            "session %s: a value of the record cannot be decoded", snapshot.id
        )
        self.event("damaged", snapshot.id)


def _renewing(before: Record, after: Record) -> bool:
    """Whether the change itself is activity: a login, a new secret, another lifetime, or whether
    the cookie outlives the browser. With a cookie that is sent afresh the record must be, since its
    date says to later requests when the last renewal was."""
    if before.permanent is not after.permanent:
        return True
    return (before.secret_hash, before.idle) != (after.secret_hash, after.idle)


def _context(id: str) -> bytes:
    """What an encrypted record is bound to."""
    return b"wsgi_sessions.record:" + id.encode("ascii")
