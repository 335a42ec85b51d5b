"""A session that is opened by its id: no request, no cookie, the same merge and fence.

How this works. The state of such a session begins with the record that was loaded, so that nothing
looks for a cookie, and in a phase in which whatever needs one raises
:exc:`~wsgi_sessions.SessionClosed`.
"""

from __future__ import annotations

from collections.abc import Callable

from wsgi_sessions.session.repository import SessionRepository
from wsgi_sessions.session.session import Session, open_session
from wsgi_sessions.session.snapshot import Snapshot, new_session
from wsgi_sessions.session.state import BY_ID

__all__ = ["find_by_id", "open_by_id"]


def find_by_id(repository: SessionRepository, id: str) -> Snapshot | None:
    """The session *id* if it is alive. One round trip."""
    found = repository.load_alive(id)
    if found is None:
        return None
    record, stored = found
    now = repository.now()
    snapshot = new_session(now)
    snapshot.fill(id, "", now, record, stored.version)
    return snapshot


def open_by_id(repository: SessionRepository, id: str) -> Session | None:
    """The session *id*, without a cookie, if it is alive. One round trip."""
    snapshot = find_by_id(repository, id)
    if snapshot is None:
        return None
    session = open_session(repository, _finder(repository, id), "", None)
    state = session._state
    state.snapshot, state.phase = snapshot, BY_ID
    return session


def _finder(repository: SessionRepository, id: str) -> Callable[..., Snapshot]:
    """Finds the session again, as a cookie header would."""

    def find(_cookie_header: str, *, strict: bool = False) -> Snapshot:  # noqa: ARG001
        found = find_by_id(repository, id)
        if found is None:
            found = new_session(repository.now())
            found.detach(id)
        return found

    return find
