"""What an application holds, and one record under compare-and-set."""

from __future__ import annotations

from wsgi_sessions.session.draft import SUPERSEDED_FOR
from wsgi_sessions.session.lifetimes import Lifetimes
from wsgi_sessions.session.session import (
    ISSUE,
    OVER,
    SENT,
    Session,
)
from wsgi_sessions.session.snapshot import (
    DROPPED,
    SAVED,
    UNCHANGED,
    Edit,
    Outcome,
    Snapshot,
)

__all__ = [
    "DROPPED",
    "ISSUE",
    "OVER",
    "SAVED",
    "SENT",
    "SUPERSEDED_FOR",
    "UNCHANGED",
    "Edit",
    "Lifetimes",
    "Outcome",
    "Session",
    "Snapshot",
]
