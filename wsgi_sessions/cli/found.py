"""What a key of the store turned out to be: a session, and what can be said of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from wsgi_sessions.manager import SessionManager
from wsgi_sessions.record import OWN_LIFETIME, Record, is_encrypted
from wsgi_sessions.session import is_over
from wsgi_sessions.stores import Stored

__all__ = ["Found", "find"]


class Found(NamedTuple):
    """A session as it is stored."""

    id: str
    stored: Stored
    record: Record | None
    """``None`` if it cannot be read here."""
    problem: str
    """Why it cannot be read; empty if it can."""

    @property
    def owner(self) -> str | None:
        return None if self.record is None else self.record.owner

    def row(self) -> dict[str, Any]:
        """What a list shows. Times are seconds since the epoch."""
        record = self.record
        if record is None:
            return {"id": self.id, "bytes": len(self.stored.data), "problem": self.problem}
        return {
            "id": self.id,
            "owner": record.owner,
            "created_at": record.created_at,
            "last_seen": record.saved_at,
            "expires_at": record.expires_at,
            "permanent": record.permanent,
            "device": record.device,
        }

    def details(self) -> dict[str, Any]:
        """What there is to say besides, without the values."""
        if self.record is None:
            return {}
        own = bool(self.record.flags & OWN_LIFETIME)
        return {
            "lifetime": self.record.idle,
            "own_lifetime": own,
            "ends_at": self.record.ends_at,
            "bytes": len(self.stored.data),
            "encrypted": is_encrypted(self.stored.data),
        }


def find(manager: SessionManager, id: str) -> Found | None:
    """The live session *id*; ``None`` if there is none. One round trip. Raises
    :exc:`~wsgi_sessions.StoreUnavailable`."""
    stored = manager.store.load(id)
    if stored is None:
        return None
    record = manager.repository.unpack(id, stored)
    if record is None:
        return Found(id, stored, None, _problem(manager, stored))
    if is_over(record, manager.repository.now()):
        return None
    return Found(id, stored, record, "")


def _problem(manager: SessionManager, stored: Stored) -> str:
    data = stored.data
    foreign = manager.repository.is_foreign(stored)
    if isinstance(data, bytes) and is_encrypted(data):
        if foreign:
            return f"encrypted with key {data[1:5].hex()}, which is not here"
        return "encrypted, and damaged or of another session"
    return "of a newer release" if foreign else "damaged"
