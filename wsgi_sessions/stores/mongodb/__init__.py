"""MongoDB."""

from __future__ import annotations

from wsgi_sessions.stores.mongodb.connections import Connection, Connections
from wsgi_sessions.stores.mongodb.store import MongoDBStore

__all__ = [
    "Connection",
    "Connections",
    "MongoDBStore",
]
