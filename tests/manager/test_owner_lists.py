"""The list of an owner over each store that keeps one: what is alive, in order, and no more."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers.redis import RedisServer
from tests.support.calls import calls_of
from tests.support.every_store import STORES
from tests.support.visitor import Visitor, warm
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.cookie import new_id
from wsgi_sessions.testing import ManualClock
from wsgi_sessions.testing.contract import together

SECRET = "the signing secret of the tests"
INDEXED = [name for name in STORES if name != "memcached"]


@pytest.fixture
def clock() -> ManualClock:
    """Near that of the servers, which have their own."""
    return ManualClock(time.time())


@pytest.fixture(params=INDEXED)
def store(request: pytest.FixtureRequest, clock: ManualClock) -> Any:
    return STORES[request.param](request, clock)


@pytest.fixture
def manager(store: Any, clock: ManualClock) -> SessionManager:
    return warm(SessionManager(store, secret=SECRET, clock=clock))


@pytest.fixture
def owner() -> str:
    """Nobody else's: the stores are shared by all tests."""
    return f"ann {new_id()}"


def log_in(manager: SessionManager, owner: str) -> Visitor:
    visitor = Visitor(manager)
    with visitor.request() as session:
        session.login(owner)
        session["cart"] = ["tea"]
    return visitor


def ids_of(manager: SessionManager, owner: str) -> list[str]:
    return [info.id for info in manager.sessions_of(owner)]


def test_an_ended_session_is_not_listed_however_it_ended(
    manager: SessionManager, owner: str
) -> None:
    visitors = [log_in(manager, owner) for _ in range(6)]
    ids = [visitor.cookie[:22] for visitor in visitors]
    with visitors[0].request() as session:
        session.invalidate()
    with visitors[1].request() as session:
        session.clear()
    manager.revoke(ids[2], owner=owner)
    with manager.open_id(ids[3]) as opened:
        assert opened is not None
        opened.invalidate()
    with visitors[4].request() as session:
        session.login(f"{owner}'s friend")
    for _ in range(2):
        assert ids_of(manager, owner) == list(manager.store.keys_of(owner)) == [ids[5]]
    assert ids_of(manager, f"{owner}'s friend") == [ids[4]]
    assert manager.revoke_all(owner) == 1
    assert list(manager.store.keys_of(owner)) == []


def test_logins_at_once_are_all_listed_and_all_ended(manager: SessionManager, owner: str) -> None:
    """Of several browsers, and of one: two logins of one session end in one."""
    browsers = [log_in(manager, f"{owner} before") for _ in range(2)]

    def act(number: int) -> None:
        if number < 4:
            log_in(manager, owner)
            return
        with browsers[number % 2].twin().request() as session:
            session.login(owner)

    together(8, act)
    listed = ids_of(manager, owner)
    assert len(listed) == len(set(listed))
    assert {browser.cookie[:22] for browser in browsers} <= set(listed)
    assert ids_of(manager, f"{owner} before") == []
    assert manager.revoke_all(owner) == len(listed)
    assert ids_of(manager, owner) == []


def test_a_session_that_moves_to_another_store_is_listed_there_alone(
    manager: SessionManager, store: Any, clock: ManualClock, owner: str
) -> None:
    """From a store that keeps a list, and into one."""
    new = MemoryStore(clock=clock)
    for old, target in ((store, new), (new, store)):
        before = warm(SessionManager(old, secret=SECRET, clock=clock))
        after = warm(SessionManager(target, secret=SECRET, clock=clock, migrate_from=old))
        visitor = log_in(before, owner)
        with Visitor(after, visitor.cookie).request() as session:
            assert session["cart"] == ["tea"]
            id = session.id
        assert list(old.keys_of(owner)) == []
        assert ids_of(after, owner) == [id]
        after.revoke_all(owner)


# What it costs


def fill(store: Any, owners: range) -> None:
    """Ten sessions of each owner, one after the other."""
    end = time.time() + 86_400
    for _ in range(10):
        for number in owners:
            store.save_owned(
                new_id(),
                bytes(100),
                expires_at=end,
                replacing=None,
                owner=f"user {number}",
                was=None,
            )


def steps_of_sqlite(store: Any) -> int:
    """What SQLite's machine does for a list."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    with sqlite3.connect(store.path) as connection:
        connection.set_progress_handler(count, 1)
        rows = connection.execute(store._sql["keys_of"], ("user 7", time.time())).fetchall()
    connection.close()
    assert len(rows) == 10
    return steps


def commands_of_redis(server: RedisServer, ask: Callable[[], object]) -> int:
    """How many, those inside of scripts included."""
    before = server.calls()
    ask()
    after = server.calls()
    return sum(after[name] - before.get(name, 0) for name in ("zrangebyscore", "exists"))


Counter = Callable[[Any], int]


@pytest.fixture(params=["memory", "file", "sqlite", "redis"])
def counted(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[tuple[Any, Counter]]:
    if request.param == "memory":
        store: Any = MemoryStore(max_sessions=200_000, clock=clock)
    else:
        store = STORES[request.param](request, clock)

    def ask() -> None:
        assert len(store.keys_of("user 7")) == 10

    def count(store: Any) -> int:
        if request.param == "sqlite":
            return steps_of_sqlite(store)
        if request.param == "redis":
            return commands_of_redis(request.getfixturevalue("redis_server"), ask)
        return sum(calls_of(ask))

    yield store, count
    for key in list(store.keys()):  # the server is shared
        store.delete(key)


@pytest.mark.parametrize(
    "owners", [200, pytest.param(10_000, marks=pytest.mark.full)], ids=lambda owners: f"{owners}"
)
def test_the_list_of_an_owner_costs_no_more_among_the_lists_of_many(
    counted: tuple[Any, Counter], owners: int
) -> None:
    """Of 10,000 owners with 100,000 sessions as of 20 with 200."""
    store, count = counted
    fill(store, range(20))
    few = count(store)
    fill(store, range(20, owners))
    many = count(store)
    print(f"{type(store).__name__}: {few} among 20 owners, {many} among {owners}")
    assert many <= few * 1.2


@pytest.mark.full
def test_an_owner_may_have_ten_thousand_sessions(store: Any, owner: str) -> None:
    """In order, and all of them."""
    end, ids = time.time() + 86_400, [new_id() for _ in range(10_000)]
    for id in ids:
        entry = {"expires_at": end, "replacing": None, "owner": owner, "was": None}
        assert store.save_owned(id, b"data", **entry) is not None
    assert list(store.keys_of(owner)) == ids
