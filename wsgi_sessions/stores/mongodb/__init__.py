"""MongoDB."""

from __future__ import annotations

from wsgi_sessions.stores.mongodb.store import MongoDBStore

__all__ = ["MongoDBStore"]
