"""Where the session of one request comes from, and what a save of it has to replace."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import Enum

from wsgi_sessions.cookie import new_sid
from wsgi_sessions.record import Record, StoredValue

__all__ = ["Detachment", "Edit", "Outcome", "Snapshot", "new_session"]

Edit = Callable[[Record, float], Record]
"""Makes of a record and the time the record that is to take its place."""


class Outcome(Enum):
    """What became of an update."""

    UNCHANGED = "there was nothing to save"
    SAVED = "saved"
    ENDED = "the session became empty and was deleted"
    DROPPED = "the session was replaced or ended in the meantime; nothing was saved"


UNCHANGED, SAVED, ENDED, DROPPED = Outcome  # as in session.py


class Detachment(Enum):
    """Why a request must not touch the session that its cookie names."""

    SUPERSEDED = "another request has replaced its secret, or ended it"
    FOREIGN = "only other workers can read it: a newer format, or a key that is not here"
    UNAVAILABLE = "the store did not answer, and on_store_error says that this is no failure"


SUPERSEDED, FOREIGN, UNAVAILABLE = Detachment


class Snapshot:
    """A record and its version as they were loaded, or a session that is not stored yet, or one
    that is *detached*: its changes lead nowhere."""

    __slots__ = (
        "detached_from",
        "disturbed",
        "id",
        "in_doubt",
        "issued_at",
        "new",
        "opened_at",
        "record",
        "rivals",
        "secret",
        "version",
        "was_sent",
        "why",
    )

    opened_at: float
    detached_from: str
    """The id of the session that this request must not touch; empty if it is attached."""
    why: Detachment
    """If it is detached."""
    was_sent: bool
    """Whether the request carries cookies of our name, whatever they open."""
    rivals: Sequence[Snapshot]
    """Where several cookies open sessions that are alive: all of these. None of them is the
    session; a login or logout ends them all."""
    new: bool
    id: str
    secret: str
    issued_at: float
    """When the cookie was signed; 0 if the browser has none yet."""
    disturbed: bool
    """Whether another request has changed the record since this one loaded it."""
    in_doubt: bytes
    """The secret's hash in a save whose answer was lost, so that nobody knows whether it is
    stored; empty if there is none."""
    record: Record | None
    version: Hashable | None

    @property
    def attached(self) -> bool:
        return not self.detached_from

    @property
    def unread(self) -> bool:
        """Whether the session that the cookie names could not be read, so that nobody knows who is
        logged in there."""
        return bool(self.detached_from) and self.why is not SUPERSEDED

    @property
    def values(self) -> dict[str, StoredValue]:
        """The encoded values that are stored."""
        return {} if self.record is None else self.record.values

    def ensure_id(self) -> str:
        """The id. A new session gets id and secret when somebody first asks."""
        if not self.id:
            self.id, self.secret = new_sid()
        return self.id

    def fill(
        self, id: str, secret: str, issued_at: float, record: Record, version: Hashable
    ) -> None:
        """Become the stored session that the cookie opens: *issued_at* is when that was signed."""
        self.id, self.secret, self.issued_at = id, secret, issued_at
        self.record, self.version = record, version
        self.new = False

    def detach(self, id: str = "", why: Detachment = SUPERSEDED) -> None:
        """Lead nowhere: *id*, or else the session that this is, is not to be touched."""
        self.detached_from, self.why, self.record = id or self.id, why, None


def new_session(opened_at: float) -> Snapshot:
    """One of a session that is not stored. (Without ``__init__``, to save a call.)"""
    snapshot = Snapshot()
    snapshot.opened_at, snapshot.issued_at, snapshot.new = opened_at, 0.0, True
    snapshot.id = snapshot.secret = snapshot.detached_from = ""
    snapshot.in_doubt, snapshot.rivals = b"", ()
    snapshot.was_sent = snapshot.disturbed = False
    snapshot.record = snapshot.version = None
    return snapshot
