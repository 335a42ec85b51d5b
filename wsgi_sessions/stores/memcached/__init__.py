"""Memcached."""

from __future__ import annotations

from wsgi_sessions.stores.memcached.client import closed, failures, report
from wsgi_sessions.stores.memcached.connections import Command, OwnServer, Server
from wsgi_sessions.stores.memcached.servers import Servers, servers_at
from wsgi_sessions.stores.memcached.store import MemcachedStore

__all__ = [
    "Command",
    "MemcachedStore",
    "OwnServer",
    "Server",
    "Servers",
    "closed",
    "failures",
    "report",
    "servers_at",
]
