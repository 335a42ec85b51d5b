"""Between us and the store stands something that forgets connections without a word: the first
request after a quiet time is answered, and none after it fails."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from tests.servers.memcached import MemcachedServer
from tests.servers.postgresql import PostgreSQL
from tests.servers.proxy import FaultProxy
from tests.support.patience import answered, patient_url, with_options
from wsgi_sessions import SQLAlchemyStore, Store, StoreUnavailable, open_store
from wsgi_sessions.stores import close_store
from wsgi_sessions.testing.contract import together

LATER = 4e9
THREADS = 4
LIMITS = "connect_timeout=2&answer_timeout=1"
"""A dead connection costs the one; a server that answers has time for it on a busy machine."""

Place = Callable[[pytest.FixtureRequest], tuple[int, Callable[[int], str]]]


def _moved(url: str) -> tuple[int, Callable[[int], str]]:
    """The port in *url*, and what makes of another port the URL that leads there."""
    address = urlsplit(url)
    assert address.port is not None
    before = f":{address.port}"
    return address.port, lambda port: url.replace(before, f":{port}", 1)


def redis(request: pytest.FixtureRequest) -> tuple[int, Callable[[int], str]]:
    url = request.getfixturevalue("redis_server").url
    return _moved(f"{url}?prefix={secrets.token_hex(4)}:")


def memcached(request: pytest.FixtureRequest) -> tuple[int, Callable[[int], str]]:
    server: MemcachedServer = request.getfixturevalue("memcached")
    return _moved(f"memcached://{server.address}")


def mongodb(request: pytest.FixtureRequest) -> tuple[int, Callable[[int], str]]:
    url = request.getfixturevalue("mongodb_url")
    return _moved(f"{url}/u{secrets.token_hex(4)}")


def database(name: str) -> Place:
    def place(request: pytest.FixtureRequest) -> tuple[int, Callable[[int], str]]:
        server = request.getfixturevalue(f"{name}_server")
        return _moved(server.new_place(f"f{secrets.token_hex(4)}"))

    return place


PLACES: dict[str, Place] = {
    "redis": redis,
    "memcached": memcached,
    "mongodb": mongodb,
    "postgresql": database("postgresql"),
    "mariadb": database("mariadb"),
}


@pytest.fixture(params=PLACES)
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[Store, FaultProxy]]:
    """A store behind a proxy, with several connections that lie idle."""
    port, url_at = PLACES[request.param](request)
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(port))
        store = open_store(with_options(url_at(proxy.port), LIMITS))
        stack.callback(close_store, store)
        keep_several(store)
        yield store, proxy


def keep_several(store: Store) -> None:
    """Let several threads be in the store at the same moment."""
    inside = Barrier(THREADS)

    def use(_: int) -> None:
        inside.wait()
        for _ in range(5):
            answered(lambda: store.load("x" * 22))

    together(THREADS, use)


def test_a_load_after_connections_were_forgotten_succeeds(
    behind: tuple[Store, FaultProxy],
) -> None:
    """The first one, at the cost of one time limit; the next ones, of whatever kind, find no other
    dead connection."""
    store, proxy = behind
    key = secrets.token_urlsafe(16)
    version = store.save(key, b"mine", expires_at=LATER, replacing=None)
    keep_several(store)
    for round in range(3):
        proxy.forget()
        found = store.load(key)
        assert found is not None
        data = f"round {round}".encode()
        version = store.save(key, data, expires_at=LATER, replacing=found.version)
        assert version is not None
        found = store.load(key)
        assert found is not None
        assert found.data == data


def test_a_save_that_got_no_answer_costs_all_that_lie_idle(
    behind: tuple[Store, FaultProxy],
) -> None:
    """It may fail, since it may have been carried out. The next operations do not."""
    store, proxy = behind
    key = secrets.token_urlsafe(16)
    store.save(key, b"before", expires_at=LATER, replacing=None)
    keep_several(store)
    found = store.load(key)
    assert found is not None
    proxy.forget()
    with suppress(StoreUnavailable):
        store.save(key, b"after", expires_at=LATER, replacing=found.version)
    accepted = proxy.accepted
    found = store.load(key)
    assert found is not None
    assert store.save(key, b"later", expires_at=LATER, replacing=found.version) is not None
    store.delete(key)
    assert store.load(key) is None
    assert proxy.accepted <= accepted + 3


def test_what_was_idle_for_half_a_minute_is_replaced_before_it_is_used(
    postgresql_server: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that lie idle at once, and no time limit passes: a save succeeds, too."""
    from wsgi_sessions.stores.sqlalchemy import database

    port, url_at = _moved(postgresql_server.new_place(f"f{secrets.token_hex(4)}"))
    with FaultProxy(port) as proxy:
        store = open_store(patient_url(url_at(proxy.port)))
        assert isinstance(store, SQLAlchemyStore)
        keep_several(store)
        proxy.forget()
        monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
        key = secrets.token_urlsafe(16)
        accepted = proxy.accepted
        assert store.save(key, b"mine", expires_at=LATER, replacing=None) is not None
        assert proxy.accepted == accepted + 1
        assert store.engine.pool.checkedin() == 1
        store.close()


def test_memcached_connections_are_replaced_after_half_a_minute_too(
    memcached: MemcachedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time of their last use, which costs no look at the clock."""
    from wsgi_sessions.stores.memcached import connections

    with FaultProxy(memcached.port) as proxy:
        monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
        store = open_store(patient_url(f"memcached://127.0.0.1:{proxy.port}"))
        keep_several(store)
        proxy.forget()
        accepted = proxy.accepted
        key = secrets.token_urlsafe(16)
        assert store.save(key, b"mine", expires_at=LATER, replacing=None) is not None
        assert proxy.accepted == accepted + 1
        close_store(store)
