"""One shard of three hangs or is dead: for the sessions of the others nothing fails, whatever is
done with them, and whatever is asked of the dead one in between."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pymemcache import HashClient  # type: ignore[import-untyped]

from tests.servers.memcached import MemcachedServer
from tests.servers.redis import SHORT, RedisCluster
from tests.support.patience import answered
from tests.support.visitor import Visitor
from wsgi_sessions import (
    MemcachedStore,
    RedisStore,
    Session,
    SessionManager,
    StoreUnavailable,
    open_store,
)
from wsgi_sessions.stores import OwnerIndex, Timeouts, close_store
from wsgi_sessions.testing import ManualClock

Do = Callable[[Session], object]
HOURS = 3 * 3600.0
PATIENCE = "connect_timeout=2&answer_timeout=1"
CLIENT: dict[str, Any] = {**SHORT, "socket_timeout": 1, "socket_connect_timeout": 2}


class Shards(NamedTuple):
    store: Any
    hang: Callable[[str], object]
    kill: Callable[[str], object]
    go_on: Callable[[str], object]


def memcached(start: Callable[[], MemcachedServer], stack: ExitStack, *, client: bool) -> Shards:
    servers = {server.address: server for server in (start() for _ in range(3))}
    given: Any = list(servers)
    if client:
        given = HashClient(given, connect_timeout=2, timeout=1)
        stack.callback(given.close)
    limits = Timeouts(connect=2, answer=1)
    store = MemcachedStore(given, timeouts=limits)
    return Shards(
        store,
        lambda at: servers[at].stall(),
        lambda at: servers[at].kill(),
        lambda at: servers[at].go_on(),
    )


def redis_cluster(directory: Path, stack: ExitStack, *, client: bool) -> Shards:
    cluster = RedisCluster(directory)
    stack.callback(cluster.stop)
    store = open_store(f"{cluster.url}?{PATIENCE}")
    if client:
        store = RedisStore(stack.enter_context(cluster.client(**CLIENT)))
    nodes = {f"127.0.0.1:{node.port}": node.process for node in cluster.nodes}
    return Shards(
        store,
        lambda at: nodes[at].signal(signal.SIGSTOP),
        lambda at: nodes[at].kill(),
        lambda at: nodes[at].signal(signal.SIGCONT),
    )


@pytest.fixture(
    params=[
        "memcached",
        pytest.param("memcached client", marks=pytest.mark.full),
        "redis cluster",
        pytest.param("redis cluster client", marks=pytest.mark.full),
    ]
)
def shards(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shards]:
    with ExitStack() as stack:
        client = request.param.endswith("client")
        if request.param.startswith("memcached"):
            start = request.getfixturevalue("start_memcached")
            shards = memcached(start, stack, client=client)
        else:
            shards = redis_cluster(tmp_path, stack, client=client)
        stack.callback(close_store, shards.store)
        yield shards


class Member(Visitor):
    """Somebody with an owner's name and a session."""

    def __init__(self, manager: SessionManager) -> None:
        super().__init__(manager)
        self.owner = secrets.token_hex(4)
        with self.request() as session:
            session["n"] = 0
            session.login(self.owner)
        self.id = self.open().id


def done(member: Member, do: Do) -> bool:
    try:
        with member.request() as session:
            do(session)
    except StoreUnavailable:
        return False
    return True


PAGES: dict[str, Do] = {
    "read": lambda session: session["n"],
    "write": lambda session: session.increment("n"),
    "regenerate": lambda session: session.regenerate(),
    "login again": lambda session: session.login(str(session.owner)),
    "login of another": lambda session: session.login(secrets.token_hex(4)),
    "logout": lambda session: session.invalidate(),
    "new login": lambda session: session.login(secrets.token_hex(4)),
}


@pytest.mark.filterwarnings("ignore:unclosed")
@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_whatever_is_done_with_the_sessions_of_the_others_succeeds(
    shards: Shards, fault: str, clock: ManualClock
) -> None:
    """Renewals come in between. Who logs in is listed, also where the list of that owner is on the
    shard that hangs."""
    manager = SessionManager(shards.store, secret="x" * 20, clock=clock)
    members = [Member(manager) for _ in range(30)]
    at = {member: str(shards.store.place_of(member.id)) for member in members}
    dead = at[members[0]]
    lost = [member for member in members if at[member] == dead]
    others = [member for member in members if at[member] != dead]
    getattr(shards, fault)(dead)
    for name, do in PAGES.items():
        clock.advance(HOURS)
        assert not any(done(member, PAGES["read"]) for member in lost[:1])
        failed = [at[member] for member in others if not done(member, do)]
        assert failed == [], name
    strangers = [Member(manager) for _ in range(10)]
    assert dead not in {shards.store.place_of(member.id) for member in strangers}
    if fault == "hang" and isinstance(shards.store, OwnerIndex):
        shards.go_on(dead)
        for member in strangers:
            listed = answered(lambda owner=member.owner: manager.sessions_of(owner))
            assert [info.id for info in listed] == [member.id]
