"""RedisStore for a user who may not run scripts: the contract, by ``WATCH`` and ``MULTI``."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from tests.servers.proxy import FaultProxy
from tests.servers.redis import RedisCluster, RedisServer
from tests.support.owners import listed
from wsgi_sessions import RedisStore, StoreUnavailable
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.testing import StoreContract

LATER = 4_000_000_000.0
PATIENT = Timeouts(connect=10, answer=20)
USER = ("web", "on", ">pw", "resetkeys", "~session:*", "+@all", "-@scripting", "-@dangerous")
LOGIN: Any = {"username": "web", "password": "pw"}

Ask = Callable[..., Any]


def url(port: int) -> str:
    return f"redis://web:pw@127.0.0.1:{port}"


def open_store(target: Any, **options: Any) -> RedisStore:
    prefix = f"session:{secrets.token_hex(8)}:"
    return RedisStore(target, prefix=prefix, timeouts=PATIENT, **options)


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[RedisServer]:
    redis_server.ask("ACL", "SETUSER", *USER)
    yield redis_server
    redis_server.ask("ACL", "DELUSER", "web")


@pytest.fixture(params=["url", "client", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    with ExitStack() as stack:
        if request.param == "cluster":
            cluster: RedisCluster = request.getfixturevalue("redis_cluster")
            rights = ("+cluster", "+command") if request.param == "cluster" else ()
            for node in cluster.nodes:
                node.ask("ACL", "SETUSER", *USER, *rights)
                stack.callback(node.ask, "ACL", "DELUSER", "web")
            target: Any = stack.enter_context(cluster.client(**LOGIN))
        else:
            port = request.getfixturevalue("server").port
            target = url(port)
            if request.param == "client":
                target = stack.enter_context(redis.Redis(port=port, **LOGIN))
        store = open_store(target)
        store.load("key")
        yield store
        store.close()


class TestContract(StoreContract):
    """RedisStore keeps the rules of every store."""

    test_threads_after_fork = None  # a client that is handed in may deadlock in the child

    @pytest.fixture
    def soon(self) -> float:
        return time.time() + 0.4


def create(store: RedisStore, key: str = "key") -> Any:
    version = store.save(key, b"old", expires_at=LATER, replacing=None)
    assert version is not None
    return version


def refuse(server: RedisServer, *commands: str) -> None:
    server.ask("ACL", "SETUSER", "web", *(f"-{command}" for command in commands))


@pytest.mark.parametrize("command", ["watch", "multi", "exec", "discard", "getrange"])
def test_a_user_who_could_never_replace_a_record_gets_none(
    server: RedisServer, command: str
) -> None:
    """It is noticed before a session is given out, each time, and nothing is written."""
    refuse(server, command)
    store = open_store(url(server.port))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="permit") as caught:
            create(store)
        assert caught.value.applied is False
    assert store.load("key") is None
    server.ask("ACL", "SETUSER", *USER)
    version = create(store)
    assert store.save("key", b"new", expires_at=LATER, replacing=version)
    store.close()


@pytest.mark.parametrize("command", ["watch", "multi", "exec", "set"])
def test_a_right_that_is_taken_away_makes_no_unconditional_write(
    server: RedisServer, command: str
) -> None:
    """Where ``MULTI`` is refused, what follows it would be carried out by itself."""
    store = open_store(url(server.port))
    version = create(store)
    rival = store.save("key", b"theirs", expires_at=LATER, replacing=version)
    refuse(server, command)
    for replacing in (version, rival):
        try:
            accepted = store.save("key", b"mine", expires_at=LATER, replacing=replacing)
        except StoreUnavailable:
            accepted = None
        assert accepted is None
    found = store.load("key")
    assert found is not None
    assert found.data == b"theirs"
    server.ask("ACL", "SETUSER", *USER)
    assert store.save("key", b"mine", expires_at=LATER, replacing=rival)
    store.close()


def test_scripts_that_are_forbidden_later_are_replaced_by_transactions(
    redis_server: RedisServer,
) -> None:
    redis_server.ask("ACL", "SETUSER", "web", "on", ">pw", "~session:*", "+@all")
    store = open_store(url(redis_server.port))
    version = create(store)
    redis_server.ask("ACL", "SETUSER", *USER)
    version = store.save("key", b"new", expires_at=LATER, replacing=version)
    assert version is not None
    assert store.save("key", b"newer", expires_at=LATER, replacing=version) is not None
    redis_server.ask("ACL", "DELUSER", "web")
    store.close()


def test_a_server_that_does_not_know_scripts_is_the_same(start_redis: Ask) -> None:
    """Some managed plans rename the commands."""
    server = start_redis("--rename-command", "EVALSHA", "", "--rename-command", "EVAL", "")
    store = open_store(server.url)
    version = create(store)
    assert store.save("key", b"new", expires_at=LATER, replacing=version) is not None
    assert store.save("key", b"other", expires_at=LATER, replacing=version) is None
    store.close()


def test_replacing_takes_two_round_trips_on_one_connection(server: RedisServer) -> None:
    with FaultProxy(server.port) as proxy:
        store = open_store(url(proxy.port))
        version = create(store)
        before = server.calls()
        for _ in range(5):
            version = store.save("key", b"new", expires_at=LATER, replacing=version)
        after = server.calls()
        assert {name: after[name] - before.get(name, 0) for name in ("watch", "multi", "exec")} == {
            "watch": 5,
            "multi": 5,
            "exec": 5,
        }
        assert proxy.accepted == 1
        store.close()


@contextmanager
def behind_proxy(server: RedisServer, handed_in: bool) -> Iterator[tuple[FaultProxy, RedisStore]]:
    """A store that reaches *server* through a proxy, by its URL or by a client."""
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.port))
        target: Any = url(proxy.port)
        if handed_in:
            target = stack.enter_context(redis.Redis(port=proxy.port, **LOGIN))
        store = open_store(target)
        stack.callback(store.close)
        yield proxy, store


@pytest.mark.parametrize("handed_in", [False, True])
@pytest.mark.parametrize("replies", range(2))
def test_a_save_whose_reply_was_lost_finds_its_own_work(
    server: RedisServer, handed_in: bool, replies: int
) -> None:
    """The reply to the first packet or to the second, cut anywhere."""
    for cut in itertools.chain([0], range(1, 60, 7)):
        with behind_proxy(server, handed_in) as (proxy, store):
            version = create(store)
            proxy.cut_reply_after(cut + 30 * replies)
            version = store.save("key", b"new", expires_at=LATER, replacing=version)
            assert version is not None
            found = store.load("key")
            assert found is not None
            assert (found.data, found.version) == (b"new", version)


@pytest.mark.parametrize("handed_in", [False, True])
@pytest.mark.parametrize("replies", range(2))
def test_a_login_whose_reply_was_lost_is_done_and_listed_once(
    server: RedisServer, handed_in: bool, replies: int
) -> None:
    """The reply to the first packet or to the second, cut anywhere."""
    for cut in itertools.chain([0], range(1, 60, 7)):
        with behind_proxy(server, handed_in) as (proxy, store):
            assert listed(store, "other")
            version = listed(store, "key", "bob")
            proxy.cut_reply_after(cut + 50 * replies)
            version = listed(store, "key", replacing=version, was="bob")
            assert version is not None
            assert store.load("key") == (b"data", version)
            assert store.keys_of("bob") == []
            assert store.keys_of("ann") == ["other", "key"]


def test_a_login_takes_two_round_trips_on_one_connection(server: RedisServer) -> None:
    with FaultProxy(server.port) as proxy:
        store = open_store(url(proxy.port))
        assert listed(store, "key")
        before = server.calls()
        assert listed(store, "other")
        after = server.calls()
        sent = ("watch", "multi", "exec")
        assert [after[name] - before[name] for name in sent] == [1, 1, 1]
        assert proxy.accepted == 1
        store.close()


def test_writers_at_once_lose_nothing(store: RedisStore) -> None:
    """Four threads count to 25 each."""
    store.save("key", b"0", expires_at=LATER, replacing=None)

    def count() -> None:
        done = 0
        while done < 25:
            found = store.load("key")
            assert found is not None
            data = b"%d" % (int(found.data) + 1)
            done += bool(store.save("key", data, expires_at=LATER, replacing=found.version))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.load("key")
    assert found is not None
    assert found.data == b"100"


@pytest.mark.parametrize("handed_in", [False, True])
def test_replicas_confirm_a_transaction_too(server: RedisServer, handed_in: bool) -> None:
    server.ask("ACL", "SETUSER", *USER, "+wait")
    with redis.Redis(port=server.port, **LOGIN) as client:
        target = client if handed_in else url(server.port)
        version = create(RedisStore(target, prefix="session:w:"), key := secrets.token_hex(8))
        store = RedisStore(target, prefix="session:w:", wait_replicas=1)
        with pytest.raises(StoreUnavailable, match="0 of 1 Redis replicas") as caught:
            store.save(key, b"new", expires_at=LATER, replacing=version)
        assert caught.value.applied is None
        store.close()
