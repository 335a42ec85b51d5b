"""Memcached."""

from __future__ import annotations

from wsgi_sessions.stores.memcached.connections import Command
from wsgi_sessions.stores.memcached.servers import connect
from wsgi_sessions.stores.memcached.store import MemcachedStore

__all__ = [
    "Command",
    "MemcachedStore",
    "connect",
]
