"""RedisStore by a URL of Sentinels or of a Cluster's nodes: short limits, clear errors."""

from __future__ import annotations

import secrets
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.process import free_port
from tests.servers.proxy import FaultProxy
from tests.servers.redis import RedisCluster, RedisSentinel
from tests.support.patience import wait_until
from wsgi_sessions import ConfigurationError, RedisStore, StoreUnavailable, open_store
from wsgi_sessions.cli.checks.redis import check

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
        with closing(unique(f"redis+sentinel://{hosts}/{redis_sentinel.NAME}")) as store:
            begun = time.monotonic()
            assert store.load("key") is None
            assert time.monotonic() - begun < IN_TIME
        proxy.restore()


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


def test_check_knows_a_cluster_by_its_url(redis_cluster: RedisCluster) -> None:
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    with closing(unique(f"redis+cluster://{nodes}?{PATIENT}")) as store:
        assert not [finding for finding in check(store) if "mode" in finding.what]
    with closing(unique(f"redis://127.0.0.1:{redis_cluster.nodes[0].port}?{PATIENT}")) as store:
        [finding] = [finding for finding in check(store) if "mode" in finding.what]
        assert "redis+cluster://" in str(finding)
