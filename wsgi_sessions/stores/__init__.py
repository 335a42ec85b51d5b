"""What a store is, and :func:`open_store`, which finds the one that a URL names."""

from __future__ import annotations

from wsgi_sessions.stores.base import (
    CENTURY,
    Listable,
    OwnerIndex,
    Purgeable,
    Store,
    Stored,
    system_clock,
)
from wsgi_sessions.stores.breaker import Breaker, GuardedStore
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.stores.text import (
    parse_boolean,
    parse_duration,
    parse_float,
    parse_integer,
    parse_list,
)
from wsgi_sessions.stores.urls import DEFAULT_STORE, open_store

__all__ = [
    "CENTURY",
    "DEFAULT_STORE",
    "Breaker",
    "GuardedStore",
    "Listable",
    "MemoryStore",
    "OwnerIndex",
    "Purgeable",
    "Store",
    "Stored",
    "open_store",
    "parse_boolean",
    "parse_duration",
    "parse_float",
    "parse_integer",
    "parse_list",
    "system_clock",
]
