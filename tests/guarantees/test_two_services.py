"""Two services with other lifetimes on one store, one secret and one clock: the record decides."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.support.visitor import Visitor
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.testing import ManualClock

HOUR = 3600.0
SERVICES: dict[str, dict[str, Any]] = {
    "short": {"lifetime": HOUR, "permanent_lifetime": 4 * HOUR, "absolute_lifetime": 10 * HOUR},
    "long": {"lifetime": 3 * HOUR, "permanent_lifetime": 9 * HOUR, "absolute_lifetime": None},
}
USES = ("read", "write")
PAUSES = (0.05 * HOUR, 0.9 * HOUR, 2.5 * HOUR)
STEPS = list(product(SERVICES, USES, PAUSES))
"""Every pair of a request and the pause before it."""


def opened(store: MemoryStore, clock: ManualClock, service: str, cookie: str = "") -> Visitor:
    manager = SessionManager(store, secret="s" * 16, clock=clock, **SERVICES[service])
    return Visitor(manager, cookie)


def began(service: str) -> tuple[ManualClock, MemoryStore, Visitor]:
    """A clock and a store of their own, and a visitor of *service* who has no session yet."""
    clock = ManualClock(1e9)
    store = MemoryStore(clock=clock)
    return clock, store, opened(store, clock, service)


@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("began_at", SERVICES)
def test_a_session_lives_as_long_as_its_record_says_in_every_order_of_requests(
    began_at: str, permanent: bool
) -> None:
    """No logout before that, by whichever service; no revival after it; both always agree."""
    for steps in product(STEPS, repeat=3):
        clock, store, visitor = began(began_at)
        with visitor.request() as session:
            session.update(n=0)
            session.permanent = permanent
        cookie, alive = visitor.cookie, True
        ends_at = visitor.open().expires_at
        assert ends_at is not None
        for service, use, pause in steps:
            clock.advance(pause)
            alive = alive and clock() < ends_at
            both = [opened(store, clock, name, cookie).open() for name in SERVICES]
            assert [not one.new for one in both] == [alive, alive], steps
            if not alive:
                continue
            browser = opened(store, clock, service, cookie)
            with browser.request() as session:
                assert session.expires_at == ends_at
                if use == "write":
                    session["n"] += 1
            cookie = browser.cookie
            now_ends_at = browser.open().expires_at
            assert now_ends_at is not None
            assert (
                now_ends_at >= ends_at or browser.set_cookie is not None
            )  # renewed by its options
            ends_at = now_ends_at


@pytest.mark.parametrize("renews_at", SERVICES)
def test_a_lifetime_of_its_own_is_changed_by_no_service(renews_at: str) -> None:
    """An administrator's 15 minutes stay 15 minutes."""
    clock, store, visitor = began("long")
    with visitor.request() as session:
        session["x"] = 1
        session.lifetime = 900
        assert session.lifetime == 900
    for _ in range(3):
        clock.advance(800)
        visitor = opened(store, clock, renews_at, visitor.cookie)
        with visitor.request() as session:
            assert session["x"] == 1
            assert session.lifetime == 900
        assert visitor.open().expires_at == clock() + 900
    with visitor.request() as session:
        session.lifetime = None
    assert visitor.open().lifetime == SERVICES[renews_at]["lifetime"]
    clock.advance(HOUR - 1)
    assert not visitor.open().new


@pytest.mark.parametrize("service", SERVICES)
def test_no_option_moves_the_absolute_end_of_a_session_that_lives(service: str) -> None:
    """It is that of the service that made it or logged it in."""
    clock, store, visitor = began("short")
    with visitor.request() as session:
        session["x"] = 1
    for hour in range(1, 12):
        clock.advance(0.9 * HOUR)
        visitor = opened(store, clock, service, visitor.cookie)
        assert visitor.open().new == (0.9 * hour >= 10)
        with visitor.request() as session:
            session.get("x")


@pytest.mark.parametrize("permanent", [False, True])
def test_a_login_lives_as_long_as_the_service_says_that_it_is_made_at(permanent: bool) -> None:
    """Also where the absolute end, which the login moves, was so near that nothing was renewed."""
    clock, store, visitor = began("short")
    with visitor.request() as session:
        session["x"] = 1
        session.permanent = permanent
    for _ in range(22):
        clock.advance(0.45 * HOUR)
        with visitor.request() as session:
            session["x"] += 1
    visitor = opened(store, clock, "long", visitor.cookie)
    with visitor.request() as session:
        session.login("ann")
    name = "permanent_lifetime" if permanent else "lifetime"
    assert visitor.open().expires_at == clock() + SERVICES["long"][name]
    clock.advance(SERVICES["long"][name] - 1)
    assert visitor.open().owner == "ann"


def test_a_login_at_a_service_of_shorter_lifetimes_ends_no_sooner() -> None:
    """No option shortens the session of another service that way."""
    clock, store, visitor = began("long")
    with visitor.request() as session:
        session["x"] = 1
    ends_at = visitor.open().expires_at
    visitor = opened(store, clock, "short", visitor.cookie)
    with visitor.request() as session:
        session.login("ann")
    assert visitor.open().expires_at == ends_at


@pytest.mark.parametrize("permanent", [True, False])
def test_a_cookie_that_is_sent_afresh_renews_in_a_request_that_is_no_activity(
    permanent: bool,
) -> None:
    """Or the next requests would take the cookie for fresh and leave it and the record alone, and
    one of them would end before nine tenths of the lifetime."""
    clock = ManualClock(1e9)
    manager = SessionManager(
        MemoryStore(clock=clock), secret="s" * 16, clock=clock, lifetime=HOUR,
        permanent_lifetime=HOUR, renews=lambda environ: "active" in environ,
    )  # fmt: skip
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["x"] = 1
        session.permanent = not permanent
    clock.advance(0.7 * HOUR)
    session = manager.open(visitor.header, {})
    session.permanent = permanent
    line = visitor.respond(session)
    assert line is not None
    assert ("Max-Age=3600;" in line) is permanent
    assert visitor.open().expires_at == clock() + HOUR
