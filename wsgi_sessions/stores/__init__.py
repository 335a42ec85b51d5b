"""What a store is, and :func:`open_store`, which finds the one that a URL names."""

from __future__ import annotations

from wsgi_sessions.stores.base import (
    CENTURY,
    Expired,
    Listable,
    OwnerIndex,
    Purgeable,
    Route,
    Store,
    Stored,
    check_place_of,
    close_store,
    ddl_of,
    evicts,
    max_bytes_of,
    place_of,
    system_clock,
)
from wsgi_sessions.stores.breaker import Breaker, GuardedStore
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.stores.observed import ObservedStore
from wsgi_sessions.stores.text import (
    parse_boolean,
    parse_duration,
    parse_float,
    parse_integer,
    parse_list,
)
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts
from wsgi_sessions.stores.urls import DEFAULT_STORE, default_url, open_store

__all__ = [
    "CENTURY",
    "DEFAULT_STORE",
    "DEFAULT_TIMEOUTS",
    "Breaker",
    "Expired",
    "GuardedStore",
    "Listable",
    "MemoryStore",
    "ObservedStore",
    "OwnerIndex",
    "Purgeable",
    "Route",
    "Store",
    "Stored",
    "Timeouts",
    "check_place_of",
    "close_store",
    "ddl_of",
    "default_url",
    "evicts",
    "max_bytes_of",
    "open_store",
    "parse_boolean",
    "parse_duration",
    "parse_float",
    "parse_integer",
    "parse_list",
    "place_of",
    "system_clock",
]
