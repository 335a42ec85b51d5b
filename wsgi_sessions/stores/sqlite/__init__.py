"""An SQLite file."""

from __future__ import annotations

from wsgi_sessions.stores.sqlite.store import SQLiteStore

__all__ = [
    "SQLiteStore",
]
