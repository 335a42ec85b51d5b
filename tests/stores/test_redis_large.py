"""RedisStore's large records: written under a second name, compared and renamed."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
import redis

from tests.servers.proxy import FaultProxy
from tests.servers.redis import PASSWORD, RedisServer, documented_rights
from tests.stores.test_redis import PATIENT, open_store, open_way
from tests.support.patience import wait_until
from wsgi_sessions import RedisStore, StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.redis.large import REPLACE_LARGE

LATER = 4_000_000_000.0
OLD, NEW, NEWER = (letter * 300_000 for letter in (b"o", b"n", b"r"))
SECONDS = Timeouts(connect=10, answer=20)


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server.port) as proxy:
        yield proxy


class _Traced(redis.Redis):
    """As tracing does it: the store has to call its methods."""


@pytest.fixture(params=["tcp", "unix", "tls", "client", "traced", "cluster-url", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    with ExitStack() as stack:
        if request.param == "traced":
            port = request.getfixturevalue("redis_server").port
            target: Any = stack.enter_context(_Traced(port=port))
        else:
            target = open_way(request.param, request, stack).target
        opened = open_store(target)
        yield opened
        opened.close()


@pytest.fixture
def one(redis_server: RedisServer) -> Iterator[RedisStore]:
    opened = open_store(f"{redis_server.url}?{PATIENT}")
    yield opened
    opened.close()


def create(store: RedisStore, key: str = "key") -> Any:
    version = store.save(key, OLD, expires_at=LATER, replacing=None)
    assert version is not None
    return version


def replace(store: RedisStore, version: Any, data: bytes = NEW, key: str = "key") -> Any:
    return store.save(key, data, expires_at=LATER, replacing=version)


def log_in(store: RedisStore, version: Any, owner: str | None = "ann", was: Any = None) -> Any:
    return store.save_owned("key", NEW, expires_at=LATER, replacing=version, owner=owner, was=was)


def names(store: RedisStore) -> list[str]:
    """All that the server has of the store, without the prefix."""
    return sorted(
        name.decode().removeprefix(store._prefix)
        for name in store._server.scan(f"{store._prefix}*")
    )


def data(store: RedisStore, key: str = "key") -> bytes | None:
    found = store.load(key)
    return None if found is None else found.data


def test_only_the_version_that_is_named_is_replaced(store: RedisStore) -> None:
    """And nothing is left under the second name, whatever comes of it."""
    first = create(store)
    second = replace(store, first)
    assert data(store) == NEW
    for wrong in (first, b"12345678", b""):
        assert replace(store, wrong, NEWER) is None
    assert store.load("key") == (NEW, second)
    assert replace(store, second, NEWER)
    assert data(store) == NEWER
    assert names(store) == ["key"]
    assert store._large.renames


def test_a_record_that_is_gone_is_not_brought_back(store: RedisStore) -> None:
    version = create(store)
    store.delete("key")
    assert replace(store, version) is None
    assert names(store) == []


def test_it_lives_as_long_as_it_is_to(one: RedisStore) -> None:
    version = create(one)
    assert one.save("key", NEW, expires_at=time.time() + 600, replacing=version)
    assert 500_000 < one.ask("PTTL", f"{one._prefix}key") <= 600_000


def test_a_server_that_does_not_know_the_script_gets_it(one: RedisStore) -> None:
    version = create(one)
    for new in (NEW, NEWER):
        one.ask("SCRIPT", "FLUSH")
        version = replace(one, version, new)
        assert data(one) == new
    one.ask("SCRIPT", "FLUSH")
    assert replace(one, b"12345678", NEW) is None
    assert log_in(one, version)
    assert list(one.keys_of("ann")) == ["key"]
    assert names(one) == ["key", "owner:ann"]


def test_what_is_no_record_is_left_as_it_is(one: RedisStore) -> None:
    one.ask("RPUSH", f"{one._prefix}key", "a")
    assert replace(one, b"12345678") is None
    assert log_in(one, b"12345678", owner=None) is None
    assert names(one) == ["key"]


def test_a_second_name_is_no_key_and_lives_for_seconds(one: RedisStore) -> None:
    create(one)
    second = f"{one._prefix}{{{one._prefix}key}}:0011223344556677"
    one.ask("SET", second, "x", "PX", "10000")
    assert list(one.keys()) == ["key"]
    assert one.ask("DEL", second) == 1


def test_the_second_name_is_in_the_slot_of_the_first(redis_cluster: Any) -> None:
    """Whatever the prefix has: none, or a hash tag of its own."""
    from redis.crc import key_slot

    seen = []
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    for prefix in (f"session:{secrets.token_hex(4)}:", f"{{app{secrets.token_hex(4)}}}:"):
        store = RedisStore(f"redis+cluster://{nodes}?{PATIENT}", prefix=prefix)
        beside = store._large._beside

        def noted(*arguments: Any, beside: Any = beside) -> Any:
            seen.append(beside(*arguments))
            return seen[-1]

        store._large._beside = noted  # type: ignore[method-assign]
        version = create(store)
        assert replace(store, version)
        (_, second, *_), script = seen[-1]
        assert second.startswith(prefix)
        assert key_slot(second.encode()) == key_slot(f"{prefix}key".encode())
        assert script[3:5] == (f"{prefix}key", second)
        assert list(store.keys()) == ["key"]
        store.close()


def test_a_large_record_is_listed_under_its_owner(store: RedisStore) -> None:
    version = create(store)
    assert log_in(store, b"12345678") is None
    assert list(store.keys_of("ann")) == []
    version = log_in(store, version)
    assert store.load("key") == (NEW, version)
    assert list(store.keys_of("ann")) == ["key"]
    assert log_in(store, version, owner="bob", was="ann")
    assert (list(store.keys_of("ann")), list(store.keys_of("bob"))) == ([], ["key"])
    assert log_in(store, None, owner="eve") is None
    assert [name for name in names(store) if "{" in name] == []


@pytest.mark.parametrize("kind", ["url", "client"])
def test_where_rename_is_refused_the_small_way_is_taken_and_said_once(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    server = start_redis()
    server.ask("ACL", "SETUSER", "sessions", *documented_rights(), "-rename")
    login: Any = {"username": "sessions", "password": PASSWORD}
    url = f"redis://sessions:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}"
    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis(port=server.port, **login))
        store = RedisStore(url if kind == "url" else client, timeouts=SECONDS)
        with caplog.at_level(logging.WARNING, "wsgi_sessions"):
            version = replace(store, create(store))
            assert log_in(store, version)
        assert data(store) == NEW
        assert list(store.keys_of("ann")) == ["key"]
        assert [record.message for record in caplog.records if "RENAME" in record.message] == [
            caplog.records[0].message
        ]
        assert [name for name in names(store) if "{" in name] == []
        assert not store.renames("another")
        assert store.load("another") is None
        store.close()


def test_with_the_documented_rights_it_is_renamed(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    server.ask("ACL", "SETUSER", "sessions", *documented_rights())
    place = f"{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}"
    store = RedisStore(f"redis://sessions:{place}", timeouts=SECONDS)
    assert store.renames("another")
    assert log_in(store, create(store))
    assert server.calls()["rename"] == 2
    assert names(store) == ["key", "owner:ann"]
    store.close()


def test_a_user_without_scripts_replaces_large_records_too(redis_server: RedisServer) -> None:
    rights = ("on", ">pw", "resetkeys", "~session:*", "+@all", "-@scripting", "-@dangerous")
    redis_server.ask("ACL", "SETUSER", "large", *rights)
    store = open_store(f"redis://large:pw@127.0.0.1:{redis_server.port}?{PATIENT}")
    version = create(store)
    assert replace(store, version)
    assert replace(store, version, NEWER) is None
    assert (data(store), names(store)) == (NEW, ["key"])
    store.close()
    redis_server.ask("ACL", "DELUSER", "large")


def test_a_full_server_keeps_the_old_record(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--maxmemory-policy", "noeviction")
    store = RedisStore(server.url, timeouts=SECONDS)
    version = create(store)
    server.ask("CONFIG", "SET", "maxmemory", 1)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="full") as caught:
            replace(store, version)
        assert caught.value.applied is False
    assert store._large.renames
    server.ask("CONFIG", "SET", "maxmemory", 0)
    assert store.load("key") == (OLD, version)
    assert replace(store, version)
    store.close()


@pytest.mark.parametrize("where", ["request", "reply"])
@pytest.mark.parametrize("count", [0, 1, 5, 7, 60, 100_000])
def test_a_connection_that_is_cut_in_the_middle_costs_nothing(
    redis_server: RedisServer, proxy: FaultProxy, where: str, count: int
) -> None:
    """The packet is sent once more, and the script recognises its own work."""
    store = open_store(f"redis://127.0.0.1:{proxy.port}?{PATIENT}")
    version = create(store)
    replace(store, b"12345678")  # the script is known
    getattr(proxy, f"cut_{where}_after")(count)
    replaced = replace(store, version)
    assert store.load("key") == (NEW, replaced)
    store.close()


def test_replicas_and_the_append_only_file_have_it(
    start_redis: Callable[..., RedisServer],
) -> None:
    """The time to live, too; and whoever takes over goes on with it."""
    first = start_redis("--appendonly", "yes", "--appendfsync", "always")
    second = start_redis("--replicaof", f"127.0.0.1 {first.port}")
    wait_until(lambda: _online(first), "the replica follows", seconds=20)
    store = RedisStore(first.url, wait_replicas=1, timeouts=SECONDS)
    version = replace(store, create(store))
    first.restart()
    assert store.load("key") == (NEW, version)
    assert first.ask("PTTL", "session:key") > 1e12
    second.ask("REPLICAOF", "NO", "ONE")
    after = RedisStore(second.url, timeouts=SECONDS)
    assert after.load("key") == (NEW, version)
    assert second.ask("PTTL", "session:key") > 1e12
    assert replace(after, b"12345678", NEWER) is None
    assert replace(after, version, NEWER)
    assert names(after) == ["key"]
    store.close()
    after.close()


def _online(server: RedisServer) -> bool:
    replicas = server.ask("INFO", "replication")
    return bool(replicas.get("connected_slaves")) and replicas["slave0"]["state"] == "online"


def test_a_server_without_the_second_name_changes_nothing(
    start_redis: Callable[..., RedisServer],
) -> None:
    """One that took over between the two commands, say."""
    server = start_redis()
    store = RedisStore(server.url, timeouts=SECONDS)
    version = create(store)
    value = (b"12345678", NEW)
    for replacing, reply in ((version, -1), (b"other...", 0)):
        arguments = ("session:key", replacing, value, 60_000)
        _, script = store._large._beside(REPLACE_LARGE, ("EVAL", REPLACE_LARGE.text), arguments)
        assert server.ask(*script) == reply
        assert store.load("key") == (OLD, version)
    assert names(store) == ["key"]
    store.close()
