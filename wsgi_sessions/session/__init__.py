"""What an application holds, and one record under compare-and-set."""

from __future__ import annotations

from wsgi_sessions.session.by_id import find_by_id, open_by_id
from wsgi_sessions.session.by_proof import open_by_proof, proof_of
from wsgi_sessions.session.changes import MISSING
from wsgi_sessions.session.header import has_replaced
from wsgi_sessions.session.identity import Identity, is_owner
from wsgi_sessions.session.lifetimes import Lifetimes, is_over
from wsgi_sessions.session.observed import ObservedRepository
from wsgi_sessions.session.repository import DEFAULT_MAX_BYTES, SessionRepository
from wsgi_sessions.session.session import (
    Session,
    check_key,
    close_unloaded,
    dismiss_changes,
    is_loaded,
    is_nobodys,
    is_open,
    open_session,
    state_of,
)
from wsgi_sessions.session.snapshot import (
    FOREIGN,
    SAVED,
    UNAVAILABLE,
    Edit,
    Outcome,
    Snapshot,
    new_session,
)
from wsgi_sessions.session.state import EXPIRE, ISSUE, OPEN, OVER, SENT, RequestState, Resolve

__all__ = [
    "DEFAULT_MAX_BYTES",
    "EXPIRE",
    "FOREIGN",
    "ISSUE",
    "MISSING",
    "OPEN",
    "OVER",
    "SAVED",
    "SENT",
    "UNAVAILABLE",
    "Edit",
    "Identity",
    "Lifetimes",
    "ObservedRepository",
    "Outcome",
    "RequestState",
    "Resolve",
    "Session",
    "SessionRepository",
    "Snapshot",
    "check_key",
    "close_unloaded",
    "dismiss_changes",
    "find_by_id",
    "has_replaced",
    "is_loaded",
    "is_nobodys",
    "is_open",
    "is_over",
    "is_owner",
    "new_session",
    "open_by_id",
    "open_by_proof",
    "open_session",
    "proof_of",
    "state_of",
]
