"""The policy: when to load, save and renew, and which cookie goes out."""

from __future__ import annotations

from wsgi_sessions.manager.manager import Finished, SessionManager
from wsgi_sessions.manager.migrate import OldSession, Reader
from wsgi_sessions.manager.options import Options

__all__ = [
    "Finished",
    "OldSession",
    "Options",
    "Reader",
    "SessionManager",
]
