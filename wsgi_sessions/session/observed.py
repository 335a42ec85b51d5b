"""The repository where an observer listens: what a save means is found out after it.

How this works. What happens rarely (a conflict, a refused cookie) is reported where it happens, by
``repository.event``, which does nothing where nobody observes. What is part of the usual save is
reported here, by comparing the record before and after, so that a save that nobody observes does
not even ask.
"""

from __future__ import annotations

from wsgi_sessions.record import Record
from wsgi_sessions.session.repository import SessionRepository
from wsgi_sessions.session.snapshot import ENDED, SAVED, Edit, Outcome, Snapshot

__all__ = ["ObservedRepository"]


class ObservedRepository(SessionRepository):
    """Reports what its saves did."""

    def update(
        self, snapshot: Snapshot, edit: Edit, *, force: bool = False, active: bool = True
    ) -> Outcome:
        before = snapshot.record
        outcome = super().update(snapshot, edit, force=force, active=active)
        if outcome is ENDED:
            self.event("ended", snapshot.id)
        elif outcome is SAVED and snapshot.record is not None:
            self._report(snapshot.id, before, snapshot.record, renewed=force)
        return outcome

    def _report(self, id: str, before: Record | None, after: Record, *, renewed: bool) -> None:
        if before is None:
            self.event("created", id)
            return
        if renewed:
            self.event("renewed", id)
        if before.secret_hash != after.secret_hash and not _is_login(before, after):
            self.event("regenerated", id)

    def end(self, snapshot: Snapshot) -> None:
        super().end(snapshot)
        self.event("ended", snapshot.id)


def _is_login(before: Record, after: Record) -> bool:
    """Whether the new secret is that of a login, which the request reports by itself."""
    was, now = (before.owner, before.created_at), (after.owner, after.created_at)
    return after.owner is not None and was != now
