"""Sessions without a request: by their id, and by whose they are.

How this works. An id names a record and proves nothing, so that it may stand in a list or in a
page; who asks by it is to be checked by the application, and :meth:`Owners.revoke` wants to know
the owner. What is changed or ended goes through the same compare-and-set as a request's changes, so
neither loses what the other does, and a session that was ended is brought back by nobody.
"""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from wsgi_sessions.cookie import is_id
from wsgi_sessions.errors import ConfigurationError, ConflictError
from wsgi_sessions.record import KEPT, Record
from wsgi_sessions.session import (
    Outcome,
    Session,
    SessionRepository,
    find_by_id,
    open_by_id,
    state_of,
)

__all__ = ["OpenedSession", "Owners", "SessionInfo"]

_ATTEMPTS = 8  # at ending a session whose secret is replaced each time


class SessionInfo(NamedTuple):
    """What a list of sessions shows of one. Times are seconds since the epoch."""

    id: str
    """Its public name: safe in a page or a log."""
    owner: str | None
    created_at: float
    """When it began, or its owner logged in."""
    last_seen: float
    """When it was last saved. A renewal saves, at most a tenth of the idle lifetime, or a day,
    after the last."""
    expires_at: float
    """When it ends if nothing more happens."""
    permanent: bool
    """Whether it outlives the browser."""
    device: str | None
    """A few words for a person; ``None`` if none were kept at login."""


class OpenedSession:
    """What :meth:`~wsgi_sessions.SessionManager.open_id` gives: a context manager."""

    def __init__(self, repository: SessionRepository, id: str) -> None:
        self._repository = repository
        self._id = id
        self._session: Session | None = None

    def __enter__(self) -> Session | None:
        if is_id(self._id):
            self._session = open_by_id(self._repository, self._id)
        return self._session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is None:
            return
        state = state_of(self._session)
        try:
            if kind is None:
                state.save()
        finally:
            state.rollback()
            state.close()


class Owners:
    """The sessions of *repository* by id and by owner."""

    def __init__(self, repository: SessionRepository) -> None:
        self._repository = repository

    def open(self, id: str) -> OpenedSession:
        """See :meth:`~wsgi_sessions.SessionManager.open_id`."""
        self._check_has_ids()
        return OpenedSession(self._repository, _checked(id))

    def sessions_of(self, owner: str) -> list[SessionInfo]:
        """See :meth:`~wsgi_sessions.SessionManager.sessions_of`."""
        found = []
        for id in self._keys_of(owner):
            snapshot = find_by_id(self._repository, id)
            if snapshot is None or snapshot.record is None or snapshot.record.owner != owner:
                continue
            found.append(_info(id, snapshot.record))
        return sorted(found, key=lambda info: (info.created_at, info.id))

    def revoke(self, id: str, *, owner: str | None) -> bool:
        """See :meth:`~wsgi_sessions.SessionManager.revoke`."""
        self._check_has_ids()
        return is_id(_checked(id)) and self._end(id, owner)

    def revoke_all(self, owner: str, *, keep: Session | str | None = None) -> int:
        """See :meth:`~wsgi_sessions.SessionManager.revoke_all`."""
        kept = _id_of(keep)
        ids = self._keys_of(owner)
        return sum(self._end(id, owner, is_listed=True) for id in ids if id != kept)

    def _end(self, id: str, owner: str | None, *, is_listed: bool = False) -> bool:
        """End the session if it is *owner*'s, whatever its visitor does meanwhile. Whose one is
        that cannot be read says only the list of the store, if it *is_listed* there."""
        repository = self._repository
        for _attempt in range(_ATTEMPTS):
            snapshot = find_by_id(repository, id)
            record = None if snapshot is None else snapshot.record
            if snapshot is None or record is None:
                return (is_listed or owner is None) and self._delete_unreadable(id)
            if owner is not None and record.owner != owner:
                return False
            if repository.update(snapshot, _ended) is Outcome.ENDED:
                return True
        raise ConflictError(f"session {id} was replaced by others {_ATTEMPTS} times in a row")

    def _delete_unreadable(self, id: str) -> bool:
        """Delete what is stored and cannot be read: damaged, or of a newer format."""
        store = self._repository.store
        stored = store.load(id)
        if stored is None or self._repository.unpack(id, stored) is not None:
            return False
        store.delete(id)
        return True

    def _keys_of(self, owner: str) -> list[str]:
        if not isinstance(owner, str):
            raise TypeError(f"owner is a str, as login() was given, not {type(owner).__name__}")
        store = self._repository.store
        if not store.has_owners:
            raise ConfigurationError(
                f"{store.name} does not list sessions by owner: MemoryStore, FileStore, "
                f"SQLiteStore, RedisStore, SQLAlchemyStore, MongoDBStore and DynamoDBStore do"
            )
        return list(store.keys_of(owner))

    def _check_has_ids(self) -> None:
        if self._repository.in_cookie:
            raise ConfigurationError(
                "CookieStore keeps no session that has an id: open_id() and revoke() need a store"
            )


def _ended(record: Record, _now: float) -> Record:
    return record.replace(values={}, owner=None, flags=record.flags & ~KEPT)


def _info(id: str, record: Record) -> SessionInfo:
    return SessionInfo(
        id,
        record.owner,
        record.created_at,
        record.saved_at,
        record.expires_at,
        record.permanent,
        record.device,
    )


def _checked(id: object) -> str:
    if not isinstance(id, str):
        raise TypeError(f"id is a str, as session.id is, not {type(id).__name__}")
    return id


def _id_of(keep: Session | str | None) -> str | None:
    """The id that stays. A request whose session was replaced meanwhile means that session."""
    if isinstance(keep, Session):
        return state_of(keep).load().detached_from or keep.id
    return None if keep is None else _checked(keep)
