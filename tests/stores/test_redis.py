"""RedisStore: the contract over each way to reach a server, what it costs, what it refuses."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import redis
import redis.asyncio
import valkey
from redis.sentinel import Sentinel

from tests.servers.proxy import FaultProxy
from tests.servers.redis import (
    PASSWORD,
    RedisCluster,
    RedisSentinel,
    RedisServer,
)
from tests.support.owners import listed
from tests.support.patience import wait_until
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.redis.store import RedisStore
from wsgi_sessions.testing import StoreContract
from wsgi_sessions.testing.owner_contract import OwnerContract

LATER = 4_000_000_000.0
PATIENT = "socket_timeout=20&socket_connect_timeout=10"
"""What a URL says for tests that are not about time: a machine may stand still for a moment."""
WAIT_SECONDS = 1
"""So that replicas have that long, half of it, to confirm: more than the usual 250 ms."""


class Way(NamedTuple):
    """What is given to the store, and the server behind it."""

    target: Any
    server: Any


def _tls(server: RedisServer) -> str:
    place = f"{quote(PASSWORD, safe='')}@localhost:{server.tls_port}"
    return f"rediss://:{place}?ssl_ca_certs={server.certificate}&{PATIENT}"


def _limited_user(server: RedisServer) -> str:
    return f"redis://sessions:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/3?{PATIENT}"


WAYS: dict[str, tuple[str, Callable[..., Any]]] = {
    "tcp": ("redis_server", lambda server, stack: f"{server.url}?{PATIENT}"),
    "client": (
        "redis_server",
        lambda server, stack: stack.enter_context(redis.Redis(port=server.port)),
    ),
    "cluster": (
        "redis_cluster",
        lambda cluster, stack: stack.enter_context(cluster.client()),
    ),
    "unix": ("redis_server", lambda server, stack: f"unix://{server.socket}?{PATIENT}"),
    "tls": ("secured_redis", lambda server, stack: _tls(server)),
    "limited-user": ("secured_redis", lambda server, stack: _limited_user(server)),
    "sentinel": (
        "redis_sentinel",
        lambda sentinel, stack: stack.enter_context(sentinel.client()),
    ),
    "sentinel-url": (
        "redis_sentinel",
        lambda sentinel, stack: (
            f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/{sentinel.NAME}?{PATIENT}"
        ),
    ),
    "cluster-url": (
        "redis_cluster",
        lambda cluster, stack: (
            "redis+cluster://127.0.0.1:1,"
            f"{','.join(f'127.0.0.1:{node.port}' for node in cluster.nodes)}?{PATIENT}"
        ),
    ),
    "valkey": (
        "redis_server",
        lambda server, stack: stack.enter_context(valkey.Valkey(port=server.port)),
    ),
}


def open_way(name: str, request: pytest.FixtureRequest, stack: ExitStack) -> Way:
    fixture, target = WAYS[name]
    server = request.getfixturevalue(fixture)
    return Way(target(server, stack), getattr(server, "first", server))


def open_store(target: Any, **options: Any) -> RedisStore:
    """A store that shares its server with nobody's keys."""
    return RedisStore(target, prefix=f"session:{secrets.token_hex(8)}:", **options)


class _Contract(StoreContract):
    @pytest.fixture
    def soon(self) -> float:
        return time.time() + 0.4

    @pytest.fixture
    def store(self, way: str, request: pytest.FixtureRequest) -> Iterator[RedisStore]:
        with ExitStack() as stack:
            store = open_store(open_way(way, request, stack).target)
            store.load("key")  # connects
            yield store
            store.close()


@pytest.mark.parametrize("way", ["tcp", "cluster-url"])
class TestContract(_Contract):
    """RedisStore keeps the rules of every store."""


@pytest.mark.parametrize("way", ["unix", "tls", "limited-user", "sentinel-url"])
class TestContractOverOtherTransports(_Contract):
    """The same; how time is counted does not differ.

    But over TLS not forking while other threads connect: OpenSSL's own locks, if held in that
    moment, are never free in the child.
    """

    test_nothing_expires_early = None
    test_the_last_accepted_time_counts = None
    test_what_has_expired_is_not_listed = None

    def test_threads_after_fork(self, store: RedisStore, later: float) -> None:
        """The same, with connections for all threads."""
        server = store._server
        for connection in [server._connect(server.deadline()) for _ in range(4)]:
            server._release(connection)
        super().test_threads_after_fork(store, later)


@pytest.mark.parametrize("way", ["client", "cluster", "sentinel", "valkey"])
class TestContractWithClients(_Contract):
    """The same with clients that are handed in.

    But not forking while other threads use the client: redis-py 8.1 deadlocks in the child if its
    pool's lock is held in that moment. With a URL the store has no lock.
    """

    test_nothing_expires_early = None
    test_threads_after_fork = None


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with ExitStack() as stack:
        yield open_way(request.param, request, stack)


@pytest.fixture
def store(way: Way) -> Iterator[RedisStore]:
    store = open_store(way.target)
    yield store
    store.close()


OPERATIONS: dict[str, tuple[Callable[[RedisStore, str, Any], object], dict[str, int]]] = {
    "load": (lambda store, key, version: store.load(key), {"get": 1}),
    "load missing": (lambda store, key, version: store.load("missing"), {"get": 1}),
    "create": (
        lambda store, key, version: store.save("new", b"", expires_at=LATER, replacing=None),
        {"set": 1},
    ),
    "replace": (
        lambda store, key, version: store.save(key, b"", expires_at=LATER, replacing=version),
        {"evalsha": 1},
    ),
    "refused": (
        lambda store, key, version: store.save(key, b"", expires_at=LATER, replacing=b"8" * 8),
        {"evalsha": 1},
    ),
    "compare and delete": (
        lambda store, key, version: store.save(key, b"", expires_at=0, replacing=version),
        {"evalsha": 1},
    ),
    "delete": (lambda store, key, version: store.delete(key), {"del": 1}),
    "keys of": (lambda store, key, version: store.keys_of("ann"), {"zrangebyscore": 1}),
}
INSIDE_SCRIPTS = {"getrange", "set", "del", "zadd", "zrem", "zrangebyscore", "pttl", "pexpire"}
BACKGROUND = {"info", "ping", "replconf", "publish", "subscribe", "auth", "select", "hello"} | {
    "cluster|info",
    "client|setname",
    "client|setinfo",
}
"""What the tests, replication and Sentinel send."""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_is_one_command(store: RedisStore, way: Way, operation: str) -> None:
    """One command a operation, counted at the server. (Of an owner's list a cluster has two.)"""
    run, expected = OPERATIONS[operation]
    if store.place_of is not None and operation == "keys of":
        expected = {"zrangebyscore": 2}
    version = store.save("key", b"", expires_at=LATER, replacing=None)
    version = store.save("key", b"data", expires_at=LATER, replacing=version)

    before = way.server.calls()
    run(store, "key", version)
    after = way.server.calls()

    sent = {name: after[name] - before.get(name, 0) for name in after if name not in BACKGROUND}
    if "evalsha" in expected:
        sent = {name: count for name, count in sent.items() if name not in INSIDE_SCRIPTS}
    assert {name: count for name, count in sent.items() if count} == expected


OWNED: dict[str, tuple[Callable[[RedisStore, Any], object], dict[str, int]]] = {
    "login": (lambda store, version: listed(store, "new"), {"evalsha": 1}),
    "renewal": (
        lambda store, version: listed(store, "key", replacing=version, was="ann"),
        {"evalsha": 1},
    ),
    "move": (
        lambda store, version: listed(store, "key", "bob", replacing=version, was="ann"),
        {"evalsha": 1},
    ),
    "logout": (
        lambda store, version: listed(store, "key", None, replacing=version, was="ann"),
        {"evalsha": 1},
    ),
    "end": (
        lambda store, version: listed(store, "key", replacing=version, was="ann", left=0),
        {"evalsha": 1},
    ),
    "keys of": (lambda store, version: store.keys_of("ann"), {"zrangebyscore": 1, "exists": 2}),
}
IN_CLUSTER = {
    "login": {"evalsha": 1, "set": 1},
    "renewal": {"evalsha": 2},
    "move": {"evalsha": 2, "zrem": 1},
    "keys of": {"zrangebyscore": 2, "exists": 2},  # of the list and its spare
    "logout": {"evalsha": 1, "zrem": 1},
    "end": {"evalsha": 1, "zrem": 1},
}
"""Where record and list are in different slots."""


@pytest.mark.parametrize("operation", OWNED)
def test_what_owners_cost(store: RedisStore, way: Way, operation: str) -> None:
    """One command where record and list are on one server; of a cluster, one for each. Commands
    inside of a script are counted by the server too."""
    run, expected = OWNED[operation]
    listed(store, "other")
    version = listed(store, "key")
    for number in range(3):  # the server knows the scripts
        key = f"key{number}"
        first = listed(store, key, "joe")
        listed(store, key, "joe", replacing=first, was="joe")
    inside: set[str] = set()
    if hasattr(way.server, "nodes"):
        expected = IN_CLUSTER.get(operation, expected)
    if "evalsha" in expected:
        inside = INSIDE_SCRIPTS - set(expected)

    before = way.server.calls()
    assert run(store, version) is not None
    after = way.server.calls()

    sent = {name: after[name] - before.get(name, 0) for name in after}
    shown = {
        name: count for name, count in sent.items() if count and name not in BACKGROUND | inside
    }
    if "set" in expected:
        assert shown["evalsha"] == 1
    else:
        assert shown == expected


def test_scripts_survive_that_the_server_forgets_them(store: RedisStore, way: Way) -> None:
    """After SCRIPT FLUSH, a restart or a failover the script goes out once more."""
    version = store.save("key", b"0", expires_at=LATER, replacing=None)
    for number in range(3):
        for server in getattr(way.server, "nodes", [way.server]):
            server.ask("SCRIPT", "FLUSH")
        version = store.save("key", b"%d" % number, expires_at=LATER, replacing=version)
        assert version is not None
        assert listed(store, f"key{number}")
    assert store.keys_of("ann") == ["key0", "key1", "key2"]
    assert store.load("key").data == b"2"


def test_what_is_no_record_is_missing(store: RedisStore, way: Way) -> None:
    """Another type and a string too short: nothing to load, in the way of saves, can be deleted."""
    server = way.server if not hasattr(way.server, "nodes") else None
    for number, write in enumerate([("RPUSH", "x"), ("SET", "1234567"), ("HSET", "f", "v")]):
        key = f"key{number}"
        name = store._prefix + key
        node = server or way.server.node_of(name)[1]
        database = 3 if isinstance(way.target, str) and "/3?" in way.target else 0
        with redis.Redis(
            unix_socket_path=str(node.socket), db=database, **node.admin_options
        ) as admin:
            admin.execute_command(write[0], name, *write[1:])
        assert store.load(key) is None
        assert store.save(key, b"", expires_at=LATER, replacing=None) is None
        assert store.save(key, b"", expires_at=LATER, replacing=b"12345678") is None
        assert store.save(key, b"", expires_at=0, replacing=b"12345678") is None
        store.delete(key)
        assert store.save(key, b"data", expires_at=LATER, replacing=None) is not None


@pytest.mark.parametrize("way", ["url", "client"])
@pytest.mark.parametrize("operation", ["create", "replace", "delete", "compare and delete"])
def test_wait_replicas(redis_sentinel: RedisSentinel, way: str, operation: str) -> None:
    """Confirmed by as many replicas as wanted, in one round trip, or StoreUnavailable in time: a
    server that waited longer than the store could not report how many have confirmed."""
    server = redis_sentinel.first
    run, _ = OPERATIONS[operation]
    timeouts = Timeouts(answer=2 * WAIT_SECONDS)
    with redis.Redis(port=server.port) as client:
        target = server.url if way == "url" else client
        confirmed, unconfirmed = (
            open_store(target, wait_replicas=count, timeouts=timeouts) for count in (1, 2)
        )
        for store in (confirmed, unconfirmed):
            plain = RedisStore(server.url, prefix=store._prefix)
            version = plain.save("key", b"data", expires_at=LATER, replacing=None)
            plain.close()
            if store is confirmed:
                run(store, "key", version)
            else:
                with pytest.raises(StoreUnavailable, match="1 of 2 Redis replicas"):
                    run(store, "key", version)
            assert store.load("missing") is None
            store.close()


def test_refused_saves_need_no_confirmation(redis_server: RedisServer) -> None:
    """Where nothing was written, nothing has to be confirmed."""
    timeouts = Timeouts(answer=2 * WAIT_SECONDS)
    store = open_store(redis_server.url, wait_replicas=1, timeouts=timeouts)
    assert store.save("key", b"", expires_at=LATER, replacing=b"12345678") is None
    store.delete("key")
    store.close()


@pytest.mark.parametrize(
    "command", ["select 1", "MULTI", "SUBSCRIBE news", "MONITOR", "client reply off", "WATCH key"]
)
def test_no_operator_changes_a_connection_that_visitors_use(
    redis_server: RedisServer, command: str
) -> None:
    """Sessions would be missing, and saves be confirmed that are not done."""
    store = open_store(redis_server.url)
    key = "operators"
    assert store.save(key, b"data", expires_at=LATER, replacing=None) is not None
    with pytest.raises(ValueError, match="client of your own"):
        store.ask(*command.split())
    found = store.load(key)
    assert found is not None
    assert found.data == b"data"
    store.close()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "decoding client": (lambda: redis.Redis(decode_responses=True), "decode_responses"),
    "decoding URL": (lambda: "redis://localhost?decode_responses=1", "'decode_responses'"),
    "asyncio client": (lambda: redis.asyncio.Redis(), "asyncio"),
    "Sentinel itself": (lambda: Sentinel([("localhost", 1)]), "master_for"),
    "connection pool": (lambda: redis.ConnectionPool(), "URL or client"),
    "other scheme": (lambda: "http://localhost", "redis://"),
    "unknown option": (lambda: "redis://localhost?tiemout=1", "'tiemout'"),
    "unknown ssl option": (lambda: "rediss://localhost?ssl_ca=x", "ssl_"),
    "password not quoted": (lambda: "redis://:sec/ret@localhost", "%XX"),
    "password with a question mark": (lambda: "redis://:sec?ret@localhost", "%XX|unknown"),
    "database not a number": (lambda: "redis://localhost?db=first", "redis://"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused(case: str) -> None:
    """At once, with a message that says what to do and quotes no password."""
    make, message = REFUSED[case]
    target = make()
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedisStore(target)
    assert "sec" not in str(caught.value)
    assert "ret@" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a*", "{tag", "{}", "{a}{b}", "ä", "a b", "x" * 65])
def test_prefixes_are_plain(prefix: str) -> None:
    """So that an ACL line and SCAN can name them."""
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisStore(prefix=prefix)


def test_cluster_clients_that_could_not_keep_the_rules(redis_cluster: RedisCluster) -> None:
    """Reading from replicas, which may be behind; waiting for them, which a class that is not
    redis-py's own cannot."""
    strategy = redis.cluster.LoadBalancingStrategy.ROUND_ROBIN

    class Traced(redis.RedisCluster):
        pass

    with (
        redis_cluster.client(load_balancing_strategy=strategy) as reads_elsewhere,
        Traced("127.0.0.1", redis_cluster.nodes[0].port) as client,
    ):
        with pytest.raises(ConfigurationError, match="replicas"):
            RedisStore(reads_elsewhere)
        with pytest.raises(ConfigurationError, match="wait_replicas"):
            RedisStore(client, wait_replicas=1)


@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_none_is_refused_in_redis_pys_names_too(
    name: str, seconds: str
) -> None:
    with pytest.raises(ConfigurationError, match="a number of seconds, more than 0"):
        RedisStore(f"redis://localhost?{name}={seconds}")


@pytest.mark.parametrize("timeout", ["socket_timeout=2", "answer_timeout=2"])
@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_options_in_the_url(redis_server: RedisServer, scheme: str, timeout: str) -> None:
    """from_url takes the store's options and redis-py's from the query string."""
    options = f"prefix=session:from-url:&wait_replicas=0&{timeout}&db=4"
    store = RedisStore.from_url(f"{scheme}://127.0.0.1:{redis_server.port}?{options}")
    store.save("key", b"data", expires_at=LATER, replacing=None)
    begun = time.monotonic()
    assert begun + 4 <= store._server.deadline() <= time.monotonic() + 4
    store.close()
    with redis.Redis(port=redis_server.port, db=4) as client:
        assert client.keys() == [b"session:from-url:key"]
    with pytest.raises(ConfigurationError, match="wait_replicas"):
        RedisStore.from_url("redis://localhost?wait_replicas=many")


def test_redis_py_is_imported_when_it_is_needed() -> None:
    """The module can be imported without it; a store says what to install."""
    program = """
import sys
sys.modules["redis"] = None
from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.redis.store import RedisStore
RedisStore()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'pip install "wsgi-sessions[redis]"' in done.stderr


def test_connections_are_used_again_and_closed(redis_server: RedisServer) -> None:
    """One connection serves operations that follow each other; close() leaves none."""
    with FaultProxy(redis_server.port) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}?{PATIENT}")
        for number in range(20):
            store.save(f"key{number}", b"", expires_at=LATER, replacing=None)
            store.load(f"key{number}")
        assert proxy.accepted == 1
        store.close()
        wait_until(lambda: proxy.open_connections == 0, "they are closed", seconds=20)
        assert store.load("key1") is not None
        store.close()


# -- owners


class TestOwners(OwnerContract):
    """By each way to reach a server."""


def end_of_list(store: RedisStore, way: Way, owner: str = "ann") -> list[bytes]:
    """What is in an owner's list, past the library."""
    command = ("ZRANGEBYSCORE", store._lists.name_of(owner), "-inf", "+inf")
    return sorted(store._server.call(command))


def test_what_has_expired_is_not_listed_and_the_next_login_drops_it(
    store: RedisStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record goes by the server's clock, its entry by that of the next login."""
    assert listed(store, "short", left=0.05)
    assert listed(store, "long")
    wait_until(lambda: store.keys_of("ann") == ["long"], "the record expires")
    assert end_of_list(store, way) == [b"@long", b"@short", b"long", b"short"]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 100)
    assert listed(store, "next")
    assert end_of_list(store, way) == [b"@long", b"@next", b"long", b"next"]


def test_reading_takes_off_what_has_no_record(
    store: RedisStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after it was listed: until then it may be a save's on its way to the record."""
    listed(store, "gone")
    listed(store, "kept")
    store.delete("gone")
    assert store.keys_of("ann") == ["kept"]
    assert b"gone" in end_of_list(store, way)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 61)
    assert store.keys_of("ann") == ["kept"]
    assert end_of_list(store, way) == [b"@kept", b"kept"]


def test_the_list_outlives_what_an_ordinary_save_can_add(store: RedisStore) -> None:
    """Its time is that of the record, a tenth more, and a minute."""
    listed(store, "key", left=600)
    left = store._server.call(("PTTL", store._lists.name_of("ann")))
    assert 719_000 < left <= 720_000


def test_a_cluster_of_one_node_at_a_url(redis_cluster: RedisCluster) -> None:
    """Its refusal of keys in several slots is noticed, and record and list are written apart."""
    store = open_store(f"{redis_cluster.nodes[0].url}?{PATIENT}")
    node = redis_cluster.nodes[0]
    served = 0
    for key in (secrets.token_hex(4) for _ in range(200)):
        owner = secrets.token_hex(4)
        names = (store._prefix + key, f"{store._prefix}owner:{owner}")
        if all(redis_cluster.node_of(name)[1] is node for name in names):
            assert listed(store, key, owner)
            assert store.keys_of(owner) == [key]
            served += 1
    assert served
    store.close()
