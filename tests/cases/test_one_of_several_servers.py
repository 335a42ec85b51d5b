"""One of three Memcached servers hangs: the sessions of the others go on, new visitors get in, and
its own are found again when it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.servers.memcached import MemcachedServer
from tests.support.patience import wait_until
from tests.support.visitor import Visitor
from wsgi_sessions import MemcachedStore, SessionManager, StoreUnavailable
from wsgi_sessions.stores import Timeouts

SECRET = "the signing secret of the tests"


@pytest.fixture
def servers(start_memcached: Callable[..., MemcachedServer]) -> list[MemcachedServer]:
    return [start_memcached() for _ in range(3)]


@pytest.fixture
def store(servers: list[MemcachedServer]) -> Iterator[MemcachedStore]:
    """Servers that answer have a second for it, since a machine may stand still for a moment."""
    limits = Timeouts(connect=1, answer=1)
    store = MemcachedStore([server.address for server in servers], timeouts=limits)
    yield store
    store.close()


@pytest.fixture
def manager(store: MemcachedStore) -> SessionManager:
    return SessionManager(store, secret=SECRET)


def visitors_by_server(manager: SessionManager, store: MemcachedStore) -> dict[str, list[Visitor]]:
    """Three visitors or more on each server."""
    found: dict[str, list[Visitor]] = {}
    while sum(len(visitors) >= 3 for visitors in found.values()) < 3:
        visitor = Visitor(manager)
        with visitor.request() as session:
            session["n"] = 0
        found.setdefault(store.place_of(session.id), []).append(visitor)
    return found


def outcomes(visitors: list[Visitor]) -> Counter[str]:
    """What comes of one request of each that reads and writes."""
    count: Counter[str] = Counter()
    for visitor in visitors:
        try:
            with visitor.request() as session:
                session.increment("n")
            count["served"] += 1
        except StoreUnavailable:
            count["unavailable"] += 1
    return count


def test_one_server_that_hangs_costs_its_own_sessions_only(
    manager: SessionManager, store: MemcachedStore, servers: list[MemcachedServer]
) -> None:
    """No request for a session of the others fails, whatever the requests for those of the one
    that hangs do to its breaker; and it is found again by them."""
    found = visitors_by_server(manager, store)
    hanging = found.pop(servers[0].address)
    others = [visitor for visitors in found.values() for visitor in visitors]
    servers[0].stall()
    try:
        for _ in range(4):
            assert outcomes(hanging) == {"unavailable": len(hanging)}
            assert outcomes(others) == {"served": len(others)}
    finally:
        servers[0].go_on()
    wait_until(lambda: set(outcomes(hanging)) == {"served"}, "its sessions are found again")
    assert all("n" in visitor.read() for visitor in hanging)


@pytest.mark.parametrize("fault", ["stall", "kill"])
def test_a_new_session_goes_to_a_server_that_answers(
    fault: str, manager: SessionManager, store: MemcachedStore, servers: list[MemcachedServer]
) -> None:
    """Before the breaker has noticed, too: then it costs the time of one attempt."""
    getattr(servers[0], fault)()
    try:
        visitors = [Visitor(manager) for _ in range(30)]
        assert outcomes(visitors) == {"served": 30}
    finally:
        servers[0].go_on()
    ids = [visitor.open().id for visitor in visitors]
    assert servers[0].address not in {store.place_of(id) for id in ids}


def test_an_id_that_the_application_knows_does_not_change(
    manager: SessionManager, store: MemcachedStore, servers: list[MemcachedServer]
) -> None:
    """It may be kept elsewhere; so that session fails with its server."""
    servers[0].kill()
    seen = set()
    while len(seen) < 2:
        session = manager.open("")
        id = session.id
        session["n"] = 1
        down = store.place_of(id) == servers[0].address
        seen.add(down)
        if down:
            with pytest.raises(StoreUnavailable):
                manager.commit(session)
        else:
            manager.commit(session)
        assert session.id == id


def test_where_no_server_answers_a_new_session_fails(
    manager: SessionManager, servers: list[MemcachedServer]
) -> None:
    """After two of them at most."""
    for server in servers:
        server.kill()
    assert outcomes([Visitor(manager)]) == {"unavailable": 1}
