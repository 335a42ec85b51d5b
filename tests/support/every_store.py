"""The stores that the tests of sessions run on. To have one more tested, add it here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.patience import PATIENT
from tests.support.store_urls import STORE_URLS
from wsgi_sessions.stores import open_store
from wsgi_sessions.stores.base import Store
from wsgi_sessions.stores.file.store import FileStore
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.stores.sqlite.store import SQLiteStore

Clock = Callable[[], float]
Factory = Callable[[pytest.FixtureRequest, Clock], Store]


def memory_store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    return MemoryStore(clock=clock)


def file_store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    directory = request.getfixturevalue("tmp_path") / "sessions"
    return FileStore(directory, timeouts=PATIENT, clock=clock)


def sqlite_store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    path = request.getfixturevalue("tmp_path") / "sessions.db"
    store = SQLiteStore(path, timeouts=PATIENT, clock=clock)
    request.addfinalizer(store.close)
    return store


def on_server(name: str, *, shared: bool = True) -> Factory:
    """Over one database, or the like, for all tests, as session ids do not collide; or one for
    each, where the server gets slow otherwise."""
    urls: list[str] = []

    def server_store(request: pytest.FixtureRequest, clock: Clock) -> Store:
        if not urls or not shared:
            urls.insert(0, STORE_URLS[name](request))
        store = open_store(urls[0])
        request.addfinalizer(store.close)  # type: ignore[attr-defined]
        return store

    return server_store


STORES: dict[str, Factory] = {
    "memory": memory_store,
    "file": file_store,
    "sqlite": sqlite_store,
    "redis": on_server("redis"),
    "memcached": on_server("memcached"),
    "postgresql": on_server("postgresql"),
    "mariadb": on_server("mariadb"),
    "mongodb": on_server("mongodb", shared=False),
    "dynamodb": on_server("dynamodb"),
}
"""Each makes a store without sessions, with all the time it needs. A server that has a clock of its
own ignores *clock*."""

SHARED = [name for name in STORES if name != "memory"]
"""Those that several processes can use at once."""
