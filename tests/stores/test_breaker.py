"""A store that hangs is left alone: requests are answered at once, and it is found again."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.servers.redis import RedisServer
from tests.support.breaker_clock import set_breaker_clock
from tests.support.patience import wait_until
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import (
    ConflictError,
    MemoryStore,
    Session,
    SessionManager,
    SessionTooLarge,
    StoreUnavailable,
)
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.stores.breaker import Breaker
from wsgi_sessions.stores.redis.store import RedisStore
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(ThrottledLog("wsgi_sessions"), clock)


@pytest.fixture
def fail(breaker: Breaker, clock: ManualClock) -> Callable[..., None]:
    """Let a call fail: after how many seconds, and with what."""

    def fail(after: float = 0.5, error: BaseException | None = None) -> None:
        def hang() -> None:
            clock.advance(after)
            raise error or StoreUnavailable("no answer")

        with suppress(type(error) if error else StoreUnavailable):
            breaker.call(hang)

    return fail


def opened(breaker: Breaker, fail: Callable[..., None]) -> None:
    for _ in range(5):
        assert not breaker.open
        fail()
    assert breaker.open


def refused(breaker: Breaker) -> None:
    """A call that fails without being made."""
    with pytest.raises(StoreUnavailable, match="was not called: 5 failures in 10 s") as caught:
        breaker.call(pytest.fail, "it was asked")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# -- the rule


def test_five_failures_in_ten_seconds_open_it_for_one(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """Then one call goes through, and closes it."""
    opened(breaker, fail)
    refused(breaker)
    clock.advance(0.99)
    refused(breaker)
    clock.advance(0.02)
    assert breaker.call(str, 1) == "1"
    assert not breaker.open
    opened(breaker, fail)  # it counts from the beginning


def test_long_limits_open_it_as_soon(breaker: Breaker, fail: Callable[..., None]) -> None:
    """Five failures of one worker that take four seconds each, with nothing in between."""
    for _ in range(4):
        fail(4.0)
    assert not breaker.open
    fail(4.0)
    assert breaker.open


def test_failures_further_apart_do_not_open_it(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """Of any ten seconds, five in none."""
    for _ in range(20):
        fail()
        clock.advance(2.2)
    assert not breaker.open


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (0.04, None),
        (0.5, ConflictError("others were faster")),
        (0.5, SessionTooLarge(2, 1)),
        (0.5, KeyError("of the application")),
        (0.5, KeyboardInterrupt()),
    ],
    ids=repr,
)
def test_what_does_not_count(
    breaker: Breaker, fail: Callable[..., None], after: float, error: BaseException | None
) -> None:
    """What fails at once, and whatever is not StoreUnavailable."""
    for _ in range(20):
        fail(after, error)
    assert not breaker.open


def test_successes_and_refusals_are_no_failures(breaker: Breaker, clock: ManualClock) -> None:
    """However long they take."""
    for _ in range(20):
        assert breaker.call(lambda: clock.advance(0.9)) is None
    assert not breaker.open


def test_there_is_one_probe_at_a_time(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """While it is out, all others still fail at once."""
    opened(breaker, fail)
    clock.advance(1)

    def probe() -> str:
        refused(breaker)
        clock.advance(5)
        refused(breaker)
        return "answer"

    assert breaker.call(probe) == "answer"
    assert breaker.call(str, 1) == "1"


@pytest.mark.parametrize(
    "error", [StoreUnavailable(), ConflictError(), KeyboardInterrupt()], ids=repr
)
def test_a_probe_that_fails_costs_another_second(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock, error: BaseException
) -> None:
    """Counted from its end, whatever it raised and however fast."""
    opened(breaker, fail)
    for after in (0.5, 0.0):
        clock.advance(1)
        fail(after, error)
        refused(breaker)
        clock.advance(0.99)
        refused(breaker)
        clock.advance(0.01)


def test_a_probe_that_never_ends_is_given_up(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """Its client has no timeout, or it went with a fork: after 10 s there is another."""
    opened(breaker, fail)
    clock.advance(1)

    def hang() -> None:
        clock.advance(10.1)
        assert breaker.call(str, 1) == "1"

    breaker.call(hang)
    assert not breaker.open


def test_one_event_when_it_opens_and_one_when_it_closes(
    breaker: Breaker,
    fail: Callable[..., None],
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """None for what comes between."""
    opened(breaker, fail)
    for _ in range(3):
        refused(breaker)
        clock.advance(1)
        fail()
    clock.advance(1)
    breaker.call(str)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            "the store failed 5 times in 10 s: it is called once a second until it answers",
        ),
        (logging.WARNING, "the store answers again"),
    ]


def test_threads_agree_on_one_probe(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """Of those that come in the same moment."""
    opened(breaker, fail)
    clock.advance(1)
    asked = []

    def ask() -> str:
        asked.append(1)
        time.sleep(0.05)
        raise StoreUnavailable

    def request(_: int) -> None:
        with suppress(StoreUnavailable):
            breaker.call(ask)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(request, range(20)))
    assert len(asked) == 1


# -- around the calls of the manager


class HangingStore(RecordingStore):
    """Whose failing calls take half a second of the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(MemoryStore(clock=clock))
        self._clock = clock

    def _note(self, name: str) -> None:
        try:
            super()._note(name)
        except StoreUnavailable:
            self._clock.advance(0.5)
            raise

    def save_owned(self, key: str, data: bytes, **keywords: Any) -> Hashable | None:
        self._note("save_owned")
        del keywords["owner"], keywords["was"]
        return self.inner.save(key, data, **keywords)

    def keys_of(self, owner: str) -> list[str]:
        self._note("keys_of")
        return []


@pytest.fixture
def store(clock: ManualClock) -> HangingStore:
    return HangingStore(clock)


@pytest.fixture
def manager(store: HangingStore, clock: ManualClock) -> SessionManager:
    manager = SessionManager(store, secret=SECRET, clock=clock)
    set_breaker_clock(manager, clock)
    return manager


@pytest.fixture
def member(visitor: Visitor, store: HangingStore) -> Visitor:
    with visitor.request() as session:
        session["name"] = "Ada"
        session.login("ada")
    store.pop_calls()
    return visitor


def try_to(member: Visitor, use: Callable[[Session], object], times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable), member.twin().request() as session:
            use(session)


def superseded(member: Visitor, store: HangingStore) -> None:
    """A write that has to load again, since another request was faster."""
    session = member.open()
    session["name"] = "Grace"
    with member.twin().request() as other:
        other.increment("visits")
    store.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        member.respond(session)


def trying(use: Callable[[Session], object], failing: str) -> Callable[..., None]:
    def attempt(member: Visitor, store: HangingStore) -> None:
        store.failing = {failing}
        try_to(member, use)

    return attempt


ATTEMPTS = {
    "read": trying(lambda session: session["name"], "load"),
    "write": trying(lambda session: session.update(name="Grace"), "save"),
    "login": trying(lambda session: session.login("grace"), "save_owned"),
    "logout": trying(Session.invalidate, "delete"),
    "logout of an owner": trying(Session.clear, "save_owned"),
    "write that is superseded": superseded,
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_whatever_the_store_is_asked_for_counts(
    attempt: str, member: Visitor, store: HangingStore
) -> None:
    """Five slow failures of loads, or of calls that write, of whatever kind; then the store is not
    asked for any such any more, and for the others it is."""
    for _ in range(5):
        store.failing = set()
        ATTEMPTS[attempt](member, store)
    guarded, kind = member.manager.repository.store, store.failing
    store.failing = set()
    store.pop_calls()
    if kind == {"load"}:
        assert guarded.breaker.open
        assert not guarded.write_breaker.open
        try_to(member, lambda session: session["name"], 3)
        assert store.pop_calls() == []
    else:
        assert guarded.write_breaker.open
        assert member.twin().read()["name"] == "Ada"
        store.pop_calls()
        try_to(member, lambda session: session.update(name="Grace"), 3)
        assert store.pop_calls() == ["load"] * 3


@pytest.mark.parametrize("recovers", ["load", "save"])
def test_the_manager_finds_the_store_again(
    recovers: str, member: Visitor, store: HangingStore, clock: ManualClock
) -> None:
    """A second later, one call at a time."""
    store.failing = {"load", "save"}
    try_to(member, lambda session: session["name"], 5)
    store.pop_calls()
    clock.advance(1)
    try_to(member, lambda session: session["name"], 3)
    assert store.pop_calls() == ["load"]
    clock.advance(1)
    store.failing = set()
    if recovers == "load":
        assert member.read() == {"name": "Ada"}
    else:
        with Visitor(member.manager).request() as session:
            session["name"] = "Grace"
    with member.request() as session:
        session.increment("visits")
    assert member.read() == {"name": "Ada", "visits": 1}


def test_an_anonymous_visitor_is_not_kept_waiting_either(
    member: Visitor, store: HangingStore, clock: ManualClock
) -> None:
    """``on_store_error="anonymous"``: at once, and nothing of it is saved."""
    manager = SessionManager(store, secret=SECRET, clock=clock, on_store_error="anonymous")
    set_breaker_clock(manager, clock)
    visitor = Visitor(manager, member.cookie)
    store.failing = {"load"}
    for _ in range(8):
        with visitor.twin().request() as session:
            session["name"] = "Grace"
    assert store.pop_calls() == ["load"] * 5
    clock.advance(10)
    store.failing = set()
    assert visitor.read() == {"name": "Ada"}


def test_the_shared_secret_is_asked_for_behind_it_too(
    store: HangingStore, clock: ManualClock
) -> None:
    """A worker that begins during an outage is not held by it."""
    manager = SessionManager(store, clock=clock)
    set_breaker_clock(manager, clock)
    store.failing = {"load"}
    for _ in range(8):
        with pytest.raises(StoreUnavailable), Visitor(manager).request() as session:
            session["name"] = "Ada"
    assert store.pop_calls() == ["load"] * 5


def test_what_fails_at_once_never_opens_it(member: Visitor, store: HangingStore) -> None:
    """A store that is full still loads."""
    full = RecordingStore(store.inner)
    manager = SessionManager(full, secret=SECRET, clock=member.manager.options.clock)
    set_breaker_clock(manager, member.manager.options.clock)
    visitor = Visitor(manager, member.cookie)
    full.failing = {"save"}
    try_to(visitor, lambda session: session.update(name="Grace"), 20)
    assert visitor.read() == {"name": "Ada"}


# -- a real server


def test_a_stalled_server_holds_no_crowd(start_redis: Callable[..., RedisServer]) -> None:
    """100 requests, 10 workers: all are answered after two rounds of calls at most, and when the
    server goes on, it is found again.

    The timeout is 2 seconds here, so that a machine that stands still for a moment is no fault. The
    first round takes it twice, since a load is sent again; those that failed before the breaker
    opened take it once more. Ten rounds would take 40 seconds.
    """
    server = start_redis()
    store = RedisStore(f"{server.url}?socket_timeout=2&socket_connect_timeout=1")
    manager = SessionManager(store, secret=SECRET)
    visitor = Visitor(manager)
    with visitor.request() as session:
        session["name"] = "Ada"

    def request(_: int) -> str:
        try:
            return str(visitor.read()["name"])
        except StoreUnavailable:
            return "unavailable"

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(request, range(100))) == {"Ada"}
        server.process.signal(signal.SIGSTOP)
        begun = time.monotonic()
        answers = list(pool.map(request, range(100)))
        took = time.monotonic() - begun
        server.process.signal(signal.SIGCONT)
    assert set(answers) == {"unavailable"}
    assert took < 20
    wait_until(lambda: request(0) == "Ada", "it is found again")
    assert not manager.repository.store.breaker.open
    store.close()


# -- kinds, places, processes


def test_a_busy_store_is_no_dead_one(
    breaker: Breaker, fail: Callable[..., None], clock: ManualClock
) -> None:
    """A lock that somebody holds, however long it was waited for."""
    for _ in range(20):
        fail(0.9, StoreUnavailable("locked", busy=True))
    assert not breaker.open


def test_a_child_does_not_wait_for_its_parents_probe(
    breaker: Breaker,
    fail: Callable[..., None],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that probed is not there; nor is one that held the lock."""
    opened(breaker, fail)
    clock.advance(1)

    def fork_within_the_probe() -> None:
        breaker._lock.acquire()
        monkeypatch.setattr("os.getpid", lambda: -1)
        assert breaker.call(str, 1) == "1"
        assert not breaker.open

    breaker.call(fork_within_the_probe)
    opened(breaker, fail)
