"""RedisStore by a URL of Sentinels or of a Cluster's nodes: short limits, clear errors."""

from __future__ import annotations

import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import free_port
from tests.servers.proxy import FaultProxy
from tests.servers.redis import RedisCluster, RedisSentinel
from tests.support.patience import answered, wait_until
from wsgi_sessions import ConfigurationError, RedisStore, StoreUnavailable, open_store
from wsgi_sessions.cli.checks.redis import check
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.stores import GuardedStore, Timeouts

LATER = 4_000_000_000.0
IN_TIME = 4.5
"""Seconds. With the store's limits it takes about 1; redis-py's own are 5 and up to ten retries."""
PATIENT = "connect_timeout=10&answer_timeout=20"


def unique(url: str) -> RedisStore:
    store = open_store(f"{url}{'&' if '?' in url else '?'}prefix=session:{secrets.token_hex(8)}:")
    assert isinstance(store, RedisStore)
    return store


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://:sec@host", "master"),
        ("redis+sentinel://:sec@host/", "master"),
        ("redis+sentinel://:sec@host/name/0/more", "master"),
        ("redis+sentinel://:sec@/name", "several"),
        ("redis+sentinel://:sec@host:port/name", "several"),
        ("redis+sentinel://:sec@host,,other/name", "several"),
        ("redis+sentinel://:sec@host/name?tiemout=1", "'tiemout'"),
        ("redis+sentinel://:sec@host/name/first", "master"),
        ("redis+cluster://:sec@host/1", "database"),
        ("redis+cluster://:sec@host:99999999", "several"),
        ("redis+cluster://:sec@host?tiemout=1", "'tiemout'"),
    ],
)
def test_a_url_that_cannot_work_is_refused_without_a_word_of_its_password(
    url: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        open_store(url)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
def test_nothing_is_connected_to_before_it_is_needed_and_an_outage_is_unavailable_in_time(
    kind: str,
) -> None:
    port = free_port()
    path = "/name" if kind == "sentinel" else ""
    with closing(unique(f"redis+{kind}://127.0.0.1:{port},127.0.0.1:{port}{path}")) as store:
        begun = time.monotonic()
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                store.save("key", b"", expires_at=LATER, replacing=None)
            assert caught.value.applied is False
        assert time.monotonic() - begun < 2 * IN_TIME


def test_a_sentinel_that_hangs_is_passed_over_in_time(redis_sentinel: RedisSentinel) -> None:
    with FaultProxy(redis_sentinel.port) as proxy:
        proxy.stall()
        hosts = f"127.0.0.1:{proxy.port},127.0.0.1:{redis_sentinel.port}"
        limits = "connect_timeout=1&answer_timeout=4"  # after the first there is time for the other
        with closing(unique(f"redis+sentinel://{hosts}/{redis_sentinel.NAME}?{limits}")) as store:
            begun = time.monotonic()
            assert store.load("key") is None
            assert time.monotonic() - begun < IN_TIME
        proxy.restore()


def test_sentinels_that_all_hang_share_the_time_of_one_operation() -> None:
    """A quarter of a second for each of so many would be 15."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        places = ",".join([f"127.0.0.1:{silent.getsockname()[1]}"] * 60)
        store = RedisStore(f"redis+sentinel://{places}/master")
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no Sentinel"):
            store.load("key")
        assert time.monotonic() - begun < 10


def test_the_new_master_is_found_after_a_failover(tmp_path: Path) -> None:
    """The old one hangs: the limit ends the wait, and the Sentinels name the new one."""
    sentinel = RedisSentinel(tmp_path)
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{sentinel.NAME}"
    store = unique(url)
    try:
        assert store.save("key", b"data", expires_at=LATER, replacing=None)
        with sentinel.first.admin() as admin:
            assert admin.wait(1, 20_000) == 1
        sentinel.first.process.signal(signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.load("key")
        assert time.monotonic() - begun < IN_TIME

        def is_found() -> bool:
            try:
                return store.load("key") is not None
            except StoreUnavailable:
                return False

        wait_until(is_found, "the new master answers", seconds=90)
        wait_until(lambda: _saves(store), "it takes writes", seconds=90)
    finally:
        store.close()
        sentinel.first.process.signal(signal.SIGCONT)
        sentinel.stop()


def _saves(store: RedisStore) -> bool:
    try:
        key = secrets.token_hex(8)
        return store.save(key, b"", expires_at=LATER, replacing=None) is not None
    except StoreUnavailable:
        return False


def test_a_master_that_hangs_holds_a_cluster_request_for_a_moment_only(
    redis_cluster: RedisCluster,
) -> None:
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    with closing(unique(f"redis+cluster://{nodes}")) as store:
        _, node = redis_cluster.node_of(f"{store._prefix}key")
        store.load("key")
        node.process.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                store.load("key")
            assert time.monotonic() - begun < IN_TIME
        finally:
            node.process.signal(signal.SIGCONT)


@pytest.mark.parametrize("kind", ["ip", "hostname", "unknown-endpoint"])
def test_a_redirection_that_names_no_host_is_to_the_one_that_was_asked(
    redis_cluster: RedisCluster, kind: str
) -> None:
    """Where the nodes' host names are preferred and there are none, Redis says ``?``."""
    node = redis_cluster.nodes[0]
    node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    try:
        with closing(unique(f"redis+cluster://127.0.0.1:{node.port}")) as store:
            store.load("key")
            server: Any = store._server
            server._table = [("127.0.0.1", node.port)] * len(server._table)  # as it was long ago
            for key in map(str, range(8)):
                assert store.load(key) is None
    finally:
        node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


def test_check_knows_a_cluster_by_its_url(redis_cluster: RedisCluster) -> None:
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    with closing(unique(f"redis+cluster://{nodes}?{PATIENT}")) as store:
        assert not [finding for finding in check(store) if "mode" in finding.what]
    with closing(unique(f"redis://127.0.0.1:{redis_cluster.nodes[0].port}?{PATIENT}")) as store:
        [finding] = [finding for finding in check(store) if "mode" in finding.what]
        assert "redis+cluster://" in str(finding)


def on_nodes(store: RedisStore, count: int = 60) -> dict[str, list[str]]:
    """New records, by the node that has them. (A replica may be said to be there a moment before
    writes reach it.)"""

    def create() -> str:
        key = secrets.token_hex(8)
        assert store.save(key, key.encode(), expires_at=LATER, replacing=None)
        return key

    found: dict[str, list[str]] = {}
    assert store.place_of is not None
    for _ in range(count):
        key = answered(create)
        found.setdefault(store.place_of(key), []).append(key)
    return found


@contextmanager
def cluster_store(cluster: RedisCluster, way: str, **options: Any) -> Iterator[RedisStore]:
    prefix = f"session:{secrets.token_hex(8)}:"
    waits = "wait_replicas" in options
    short = {"socket_timeout": 20 if waits else 0.5, "socket_connect_timeout": 0.25}
    if way == "url":
        with closing(RedisStore(cluster.url, prefix=prefix, **options)) as store:
            yield store
    else:
        with cluster.client(retry=Retry(NoBackoff(), 1), **short) as client:
            yield RedisStore(client, prefix=prefix, **options)


@pytest.mark.parametrize("way", ["url", "client"])
def test_of_a_cluster_whose_node_is_dead_the_other_sessions_never_fail(
    way: str, tmp_path: Path
) -> None:
    """Hung, then dead: who asks for a session of that node fails, in a moment while its breaker is
    open, and all others are served; a new session is put on another node."""
    cluster = RedisCluster(tmp_path)
    try:
        with cluster_store(cluster, way) as store:
            keys = on_nodes(store)
            assert len(keys) == 3
            place = f"127.0.0.1:{cluster.nodes[1].port}"
            others = [key for at, there in keys.items() if at != place for key in there]
            guarded = GuardedStore(store, ThrottledLog("test"))
            cluster.nodes[1].process.signal(signal.SIGSTOP)
            for after in ("hung", "dead"):
                for key in [key for pair in zip(keys[place], others, strict=False) for key in pair]:
                    if key in others:
                        assert guarded.load(key) is not None, after
                    else:
                        with pytest.raises(StoreUnavailable):
                            guarded.load(key)
                fresh = guarded.reachable(keys[place][0], lambda: secrets.token_hex(8))
                assert fresh is not None
                assert after == "dead" or store.place_of(fresh) != place
                cluster.nodes[1].process.kill()
            assert {key for key in others if guarded.load(key)} == set(others)
    finally:
        cluster.stop()


@pytest.mark.parametrize("way", ["url", "client"])
def test_replicas_of_the_keys_node_confirm_a_write_in_a_cluster(way: str, tmp_path: Path) -> None:
    """In the packet of the write, the first save of a session too; without a replica a write is
    not confirmed, and reads go on."""
    cluster = RedisCluster(tmp_path, replicas=True)
    timeouts = Timeouts(answer=2)
    try:
        with cluster_store(cluster, way, wait_replicas=1, timeouts=timeouts) as store:
            for key in (secrets.token_hex(8) for _ in range(6)):
                version = store.save(key, b"one", expires_at=LATER, replacing=None)
                assert store.save(key, b"two", expires_at=LATER, replacing=version)
            for replica in cluster.replicas:
                replica.process.kill()
            version = store.load(key).version  # type: ignore[union-attr]
            for name, replacing in ((key, version), (secrets.token_hex(8), None)):
                with pytest.raises(StoreUnavailable, match="0 of 1 Redis replicas") as caught:
                    store.save(name, b"three", expires_at=LATER, replacing=replacing)
                assert caught.value.busy
                assert caught.value.applied is None
            assert store.load(key).data == b"three"  # type: ignore[union-attr]
    finally:
        cluster.stop()


def test_a_cluster_is_followed_when_a_replica_takes_over(tmp_path: Path) -> None:
    """Without a new store, by those that asked the dead master and by those that did not."""
    cluster = RedisCluster(tmp_path, replicas=True, down_after=1000)
    try:
        with cluster_store(cluster, "url", wait_replicas=1) as store:
            keys = [key for there in on_nodes(store, 12).values() for key in there]
            cluster.nodes[0].process.kill()
            for key in keys:
                found = answered(lambda key=key: store.load(key), seconds=60)
                assert found is not None
                assert found.data == key.encode()
    finally:
        cluster.stop()


@pytest.mark.parametrize("way", ["url", "client"])
def test_a_load_from_a_cluster_is_one_command_on_one_connection(
    redis_cluster: RedisCluster, way: str
) -> None:
    with cluster_store(redis_cluster, way) as store:
        keys = [key for there in on_nodes(store, 6).values() for key in there]
        before = redis_cluster.calls()
        for key in keys:
            assert store.load(key)
        after = redis_cluster.calls()
        sent = {name: count - before.get(name, 0) for name, count in after.items()}
        background = ("info", "ping", "publish", "cluster|info", "hello")
        assert {n: c for n, c in sent.items() if c and n not in background} == {"get": 6}
