"""What a store does when its server fails: the rules of the contract, each store at its server, of
which a proxy forgets, refuses and loses what it is told to."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest
import redis
import valkey
from pymemcache import HashClient, PooledClient  # type: ignore[import-untyped]
from sqlalchemy import create_engine

from tests.cases.test_what_cannot_be_written import (
    LOCAL,
    file_locked,
    mariadb_row_locked,
    postgresql_full,
    postgresql_row_locked,
    sqlalchemy_sqlite_locked,
    sqlite_locked,
)
from tests.servers.dynamodb import REGION, DynamoDBServer
from tests.servers.memcached import MemcachedServer
from tests.servers.pgbouncer import PgBouncer
from tests.servers.proxy import FaultProxy
from tests.servers.redis import SHORT, RedisCluster, RedisServer, stalled
from tests.support.other_limits import other_limits
from tests.support.patience import answered, patient_url, wait_until
from wsgi_sessions import (
    MemcachedStore,
    MongoDBStore,
    RedisStore,
    SQLAlchemyStore,
    Store,
    StoreUnavailable,
    open_store,
)
from wsgi_sessions.stores import Timeouts, close_store
from wsgi_sessions.testing.contract import new_key
from wsgi_sessions.testing.fault_contract import FaultContract

LATER = 4e9
ANSWER, CONNECT = 2, 10
TIMEOUTS = Timeouts(connect=CONNECT, answer=ANSWER)
CLIENT = {**SHORT, "socket_timeout": ANSWER, "socket_connect_timeout": CONNECT}
LIMITS = f"connect_timeout={CONNECT}&answer_timeout={ANSWER}"

Faulty = Callable[[], AbstractContextManager[object]]
Stopped = Callable[[Hashable], AbstractContextManager[object]]


@dataclass
class Place:
    """A store, and the faults that can be made where it is."""

    store: Store
    proxy: FaultProxy | None = None
    unwritable: Faulty | None = None
    stopped_place: Stopped | None = None


Make = Callable[[pytest.FixtureRequest, ExitStack], Place]
MAKERS: dict[str, Make] = {}
FAULTS: dict[str, set[str]] = {}

CONNECTION = {"stopped", "lose_answer"}
OWN_CONNECTION = CONNECTION | {"forget_connections"}
"""Clients that are handed in have ways of their own: psycopg waits for an answer forever, and
pymongo keeps the other connections where one is silent."""


def maker(name: str, *faults: str) -> Callable[[Make], Make]:
    """Register what makes a place where *faults* can be made."""

    def register(make: Make) -> Make:
        MAKERS[name], FAULTS[name] = make, set(faults)
        return make

    return register


def with_limits(url: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{LIMITS}"


def behind(url: str, stack: ExitStack) -> tuple[FaultProxy, str]:
    """A proxy before the server of *url*, and the URL that leads through it."""
    port = urlsplit(url).port
    assert port is not None
    proxy = stack.enter_context(FaultProxy(port))
    return proxy, url.replace(f":{port}", f":{proxy.port}", 1)


def new_prefix() -> str:
    return f"{secrets.token_hex(4)}:"


# -- without a server


@maker("file", "unwritable")
def _file(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    url, locked = file_locked(request)
    return Place(open_store(f"{url}?{LOCAL}"), unwritable=locked)


@maker("sqlite", "unwritable")
def _sqlite(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    url, locked = sqlite_locked(request)
    return Place(open_store(f"{url}?{LOCAL}"), unwritable=locked)


@maker("sqlalchemy sqlite", "unwritable")
def _sqlalchemy_sqlite(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    url, locked = sqlalchemy_sqlite_locked(request)
    return Place(open_store(f"{url}?{LOCAL}"), unwritable=locked)


# -- Redis


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "maxmemory", 1)
    yield
    server.ask("CONFIG", "SET", "maxmemory", 0)


def at_redis(
    request: pytest.FixtureRequest, stack: ExitStack, client: Callable[[int], Any]
) -> Place:
    server: RedisServer = request.getfixturevalue("redis_server")
    server.ask("ACL", "SETUSER", "plain", "on", ">plain", "~*", "+@all", "-@scripting")
    proxy = stack.enter_context(FaultProxy(server.port))
    given = client(proxy.port)
    if not isinstance(given, str):
        stack.callback(given.close)
    store = RedisStore(given, prefix=new_prefix(), timeouts=TIMEOUTS)
    return Place(store, proxy, lambda: full(server))


@maker("redis", "unwritable", *OWN_CONNECTION)
def _redis(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_redis(request, stack, lambda port: f"redis://127.0.0.1:{port}")


@maker("redis client", "unwritable", *OWN_CONNECTION)
def _redis_client(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_redis(request, stack, lambda port: redis.Redis(port=port, **CLIENT))


@maker("valkey client", "unwritable", *OWN_CONNECTION)
def _valkey_client(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_redis(request, stack, lambda port: valkey.Valkey(port=port, socket_timeout=ANSWER))


@maker("redis without scripts", "unwritable", *OWN_CONNECTION)
def _redis_without_scripts(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_redis(request, stack, lambda port: f"redis://plain:plain@127.0.0.1:{port}")


@maker("redis client without scripts", "unwritable", *OWN_CONNECTION)
def _redis_client_without_scripts(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    def client(port: int) -> redis.Redis:
        return redis.Redis(port=port, username="plain", password="plain", **CLIENT)

    return at_redis(request, stack, client)


@maker("redis cluster", "unwritable", "stopped_place")
def _redis_cluster(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    store = open_store(f"{cluster.url}?prefix={new_prefix()}&{LIMITS}")

    @contextmanager
    def stopped(place: Hashable) -> Iterator[None]:
        node = next(node for node in cluster.nodes if str(place).endswith(f":{node.port}"))
        with stalled(node):
            yield

    @contextmanager
    def all_full() -> Iterator[None]:
        with ExitStack() as full_ones:
            for node in cluster.nodes:
                full_ones.enter_context(full(node))
            yield

    return Place(store, None, all_full, stopped)


# -- Memcached


def at_memcached(
    request: pytest.FixtureRequest, stack: ExitStack, client: Callable[[str], Any]
) -> Place:
    server: MemcachedServer = request.getfixturevalue("memcached")
    proxy = stack.enter_context(FaultProxy(server.port))
    given = client(f"127.0.0.1:{proxy.port}")
    if not isinstance(given, str):
        stack.callback(given.close)
    return Place(MemcachedStore(given, timeouts=TIMEOUTS), proxy)


@maker("memcached", *OWN_CONNECTION)
def _memcached(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_memcached(request, stack, str)


@maker("memcached client", *OWN_CONNECTION)
def _memcached_client(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_memcached(
        request, stack, lambda address: PooledClient(address, connect_timeout=5, timeout=ANSWER)
    )


def at_three_memcached(
    request: pytest.FixtureRequest, stack: ExitStack, client: Callable[[list[str]], Any]
) -> Place:
    servers: list[MemcachedServer] = request.getfixturevalue("three_memcached")
    proxies = [stack.enter_context(FaultProxy(server.port)) for server in servers]
    given = client([f"127.0.0.1:{proxy.port}" for proxy in proxies])
    if not isinstance(given, list):
        stack.callback(given.close)
    store = MemcachedStore(given, timeouts=TIMEOUTS)

    @contextmanager
    def stopped(place: Hashable) -> Iterator[None]:
        proxy = next(proxy for proxy in proxies if str(proxy.port) in str(place))
        proxy.stall()
        try:
            yield
        finally:
            proxy.restore()

    return Place(store, stopped_place=stopped)


@maker("three memcached", "stopped_place")
def _three_memcached(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_three_memcached(request, stack, list)


@maker("memcached hash client", "stopped_place")
def _memcached_hash_client(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    return at_three_memcached(
        request,
        stack,
        lambda addresses: HashClient(addresses, connect_timeout=5, timeout=ANSWER),
    )


@maker("memcached tls", *OWN_CONNECTION)
def _memcached_tls(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    server, certificate = request.getfixturevalue("encrypted_memcached")
    url = with_limits(f"memcacheds://{server.address}?ca_file={certificate}")
    proxy, url = behind(url, stack)
    return Place(open_store(url), proxy)


# -- databases


def database(name: str, locked: Callable[..., tuple[str, Faulty]]) -> None:
    @maker(name, "unwritable", *OWN_CONNECTION)
    def _url(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
        url, unwritable = locked(request)
        proxy, url = behind(url, stack)
        # The server gives up a lock by its own limit, and a busy machine may say so late.
        late = "unwritable" in request.fixturenames
        with other_limits(answer=30) if late else nullcontext():
            return Place(open_store(with_limits(url)), proxy, unwritable)


database("postgresql", postgresql_row_locked)
database("postgresql full", postgresql_full)
database("mariadb", mariadb_row_locked)


def handed_in_engine(name: str, driver: str, locked: Callable[..., tuple[str, Faulty]]) -> None:
    @maker(f"{name} engine", *(OWN_CONNECTION if driver == "pymysql" else CONNECTION))
    def _engine(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
        url, _ = locked(request)
        proxy, url = behind(url, stack)
        url, _, schema = url.partition("?schema=")
        scheme, _, rest = url.partition("://")
        limit = {"psycopg": "connect_timeout=10", "pymysql": f"read_timeout={ANSWER}"}[driver]
        engine = create_engine(f"{scheme}+{driver}://{rest}?{limit}")
        stack.callback(engine.dispose)
        store = SQLAlchemyStore(engine, schema=schema or None)
        return Place(store, proxy)


handed_in_engine("postgresql", "psycopg", postgresql_row_locked)
handed_in_engine("mariadb", "pymysql", mariadb_row_locked)


def pgbouncer(mode: str) -> None:
    @maker(f"pgbouncer {mode}", "unwritable", *OWN_CONNECTION)
    def _url(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
        url, unwritable = postgresql_full(request)
        port = request.getfixturevalue("postgresql_server").port
        pooler = stack.enter_context(PgBouncer(port, mode, server_connections=8))
        proxy = stack.enter_context(FaultProxy(pooler.port))
        schema = url.partition("?schema=")[2]
        url = f"postgresql://tester@127.0.0.1:{proxy.port}/postgres?schema={schema}"
        return Place(open_store(with_limits(url)), proxy, unwritable)


pgbouncer("session")
pgbouncer("transaction")


@maker("mongodb", *OWN_CONNECTION)
def _mongodb(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    proxy, url = behind(request.getfixturevalue("mongodb_url"), stack)
    return Place(open_store(with_limits(f"{url}/f{secrets.token_hex(4)}")), proxy)


@maker("mongodb client", *CONNECTION)
def _mongodb_client(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    proxy, url = behind(request.getfixturevalue("mongodb_url"), stack)
    client: Any = stack.enter_context(
        pymongo.MongoClient(url, serverSelectionTimeoutMS=1_000, socketTimeoutMS=ANSWER * 1_000)
    )
    return Place(MongoDBStore(client, collection=f"f{secrets.token_hex(4)}"), proxy)


@maker("dynamodb", *OWN_CONNECTION)
def _dynamodb(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    server: DynamoDBServer = request.getfixturevalue("dynamodb_server")
    proxy, url = behind(server.endpoint, stack)
    table = f"t{secrets.token_hex(4)}"
    place = f"dynamodb://{REGION}/{table}?endpoint_url="
    patient = open_store(patient_url(f"{place}{server.endpoint}"))
    patient.save(new_key(), b"", expires_at=LATER, replacing=None)  # makes the table
    close_store(patient)
    return Place(open_store(with_limits(f"{place}{url}")), proxy)


SECOND_WAYS = {
    *("sqlalchemy sqlite", "valkey client", "redis client without scripts", "mongodb client"),
    *("memcached hash client", "memcached tls", "mariadb engine", "pgbouncer session"),
}
"""To what another place leads too: ``make full`` has them."""


def places(names: Iterable[str]) -> list[Any]:
    """Those of that name, as parameters."""
    return [
        pytest.param(name, marks=pytest.mark.full) if name in SECOND_WAYS else name
        for name in names
    ]


class TestFaults(FaultContract):
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each rule with the places where its faults can be made."""
        needed = set().union(*FAULTS.values()) & set(metafunc.fixturenames)
        names = [name for name, faults in FAULTS.items() if needed <= faults]
        metafunc.parametrize("where", places(names), indirect=True)

    @pytest.fixture
    def where(self, request: pytest.FixtureRequest) -> Iterator[Place]:
        with ExitStack() as stack:
            where = MAKERS[request.param](request, stack)
            stack.callback(close_store, where.store)
            yield where

    @pytest.fixture
    def store(self, where: Place) -> Store:
        return where.store

    @pytest.fixture
    def proxy(self, where: Place) -> FaultProxy:
        assert where.proxy is not None
        return where.proxy

    @pytest.fixture
    def forget_connections(self, proxy: FaultProxy) -> Callable[[], object]:
        return proxy.forget

    @pytest.fixture
    def lose_answer(self, proxy: FaultProxy) -> Callable[[], object]:
        return lambda: proxy.cut_reply_after(0)

    @pytest.fixture
    def stopped(self, proxy: FaultProxy) -> Faulty:
        @contextmanager
        def stopped() -> Iterator[None]:
            proxy.refuse()
            try:
                yield
            finally:
                proxy.restore()

        return stopped

    @pytest.fixture
    def unwritable(self, where: Place) -> Faulty:
        assert where.unwritable is not None
        return where.unwritable

    @pytest.fixture
    def stopped_place(self, where: Place) -> Stopped:
        assert where.stopped_place is not None
        return where.stopped_place


PROXIED = [name for name, faults in FAULTS.items() if faults >= CONNECTION]


@pytest.mark.parametrize("step", ["create", "replace"])
@pytest.mark.parametrize("name", places(PROXIED))
def test_of_a_save_that_was_sent_nobody_says_that_it_was_not_done(
    name: str, step: str, request: pytest.FixtureRequest
) -> None:
    """Its answer is lost with the server: that the second attempt could not be made does not undo
    the first."""
    with ExitStack() as stack:
        where = MAKERS[name](request, stack)
        store, proxy = where.store, where.proxy
        assert proxy is not None
        stack.callback(close_store, store)
        key, version = new_key(), None
        store.save(new_key(), b"", expires_at=LATER, replacing=None)
        if step == "replace":
            version = store.save(key, b"old", expires_at=LATER, replacing=None)
        store.load(key)
        proxy.delay(60)
        with ThreadPoolExecutor(1) as pool:
            save = pool.submit(store.save, key, b"new", expires_at=LATER, replacing=version)
            wait_until(lambda: proxy.holding.is_set() or save.done(), "the reply is held")
            proxy.refuse()
            error = save.exception()
        proxy.restore()
        found = answered(lambda: store.load(key))
        assert isinstance(error, StoreUnavailable)
        if found is not None and found.data == b"new":
            assert error.applied is None
