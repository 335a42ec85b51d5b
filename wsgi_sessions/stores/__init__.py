"""What a store is, and :func:`open_store`, which finds the one that a URL names."""

from __future__ import annotations

from wsgi_sessions.stores.base import (
    CENTURY,
    Listable,
    OwnerIndex,
    Purgeable,
    Store,
    Stored,
)
from wsgi_sessions.stores.breaker import Breaker, GuardedStore
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.stores.urls import open_store

__all__ = [
    "CENTURY",
    "Breaker",
    "GuardedStore",
    "Listable",
    "MemoryStore",
    "OwnerIndex",
    "Purgeable",
    "Store",
    "Stored",
    "open_store",
]
