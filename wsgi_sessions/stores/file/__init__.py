"""A directory of sessions."""

from __future__ import annotations

from wsgi_sessions.stores.file.store import FileStore

__all__ = ["FileStore"]
