"""Where a store keeps its data on this host, so that a mistyped path is not an empty site."""

from __future__ import annotations

import os

from wsgi_sessions.stores import Store
from wsgi_sessions.stores.file import FileStore
from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore
from wsgi_sessions.stores.sqlite import SQLiteStore

__all__ = ["missing_place"]


def missing_place(store: Store) -> str:
    """The path of a file or directory of *store* that does not exist; empty if it does, or if the
    store has none. A store would create it, for the user of the command instead of the
    application's."""
    path = _path_of(store)
    return path if path and not os.path.exists(path) else ""


def _path_of(store: Store) -> str:
    if isinstance(store, FileStore):
        return store.directory
    if isinstance(store, SQLiteStore):
        return store.path
    if isinstance(store, SQLAlchemyStore) and store.engine.dialect.name == "sqlite":
        path = store.engine.url.database or ""
        return "" if path.startswith((":memory:", "file:")) else path
    return ""
