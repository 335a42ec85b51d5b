"""A pool that was handed in and has no free connection: the thread that has the last one may be
the one that asks, so the answer comes soon, and says that the store is not dead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis
import valkey
from pymemcache import PooledClient  # type: ignore[import-untyped]
from redis.sentinel import Sentinel

from wsgi_sessions import MemcachedStore, RedisStore, StoreUnavailable
from wsgi_sessions.stores import Store
from wsgi_sessions.testing.contract import new_key

LATER = 4e9

Full = Callable[[pytest.FixtureRequest, ExitStack], tuple[Store, Callable[[], Any], Any]]


def of_package(package: Any, pool_class: str) -> Full:
    def full(
        request: pytest.FixtureRequest, stack: ExitStack
    ) -> tuple[Store, Callable[[], Any], Any]:
        port = request.getfixturevalue("redis_server").port
        pool = getattr(package, pool_class)(host="127.0.0.1", port=port, max_connections=1)
        kind = package.Redis if package is redis else package.Valkey
        client = kind(connection_pool=pool)
        stack.callback(pool.disconnect)
        return RedisStore(client), lambda: pool.get_connection("GET"), pool.release

    return full


def of_sentinel(
    request: pytest.FixtureRequest, stack: ExitStack
) -> tuple[Store, Callable[[], Any], Any]:
    server = request.getfixturevalue("redis_sentinel")
    sentinel = Sentinel([("127.0.0.1", server.port)], socket_timeout=20)
    client = sentinel.master_for(server.NAME, max_connections=1, socket_timeout=20)
    stack.callback(client.close)
    for each in sentinel.sentinels:
        stack.callback(each.close)
    pool = client.connection_pool
    return RedisStore(client), lambda: pool.get_connection(), pool.release


def of_memcached(
    request: pytest.FixtureRequest, stack: ExitStack
) -> tuple[Store, Callable[[], Any], Any]:
    client = PooledClient(request.getfixturevalue("memcached").address, max_pool_size=1)
    stack.callback(client.close)
    return MemcachedStore(client), client.client_pool.get, client.client_pool.release


POOLS: dict[str, Full] = {
    "redis": of_package(redis, "ConnectionPool"),
    "redis, that waits": of_package(redis, "BlockingConnectionPool"),
    "valkey": of_package(valkey, "ConnectionPool"),
    "valkey, that waits": of_package(valkey, "BlockingConnectionPool"),
    "redis, of a Sentinel": of_sentinel,
    "memcached": of_memcached,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", POOLS)
def test_a_pool_without_a_free_connection_is_busy_and_answers_before_its_own_limit(
    name: str, request: pytest.FixtureRequest
) -> None:
    """A pool that waits does so for 20 seconds by default."""

    @contextmanager
    def held(take: Callable[[], Any], give_back: Callable[[Any], object]) -> Iterator[None]:
        one = take()
        yield
        give_back(one)

    with ExitStack() as stack:
        store, take, give_back = POOLS[name](request, stack)
        key = new_key()
        version = store.save(key, b"old", expires_at=LATER, replacing=None)
        operations: list[Callable[[], object]] = [
            lambda: store.load(key),
            lambda: store.save(key, b"new", expires_at=LATER, replacing=version),
            lambda: store.save(new_key(), b"new", expires_at=LATER, replacing=None),
        ]
        with held(take, give_back):
            for operation in operations:
                with pytest.raises(StoreUnavailable, match="pool is exhausted") as caught:
                    operation()
                assert caught.value.busy
                assert caught.value.applied is False
        assert store.load(key) == (b"old", version)
