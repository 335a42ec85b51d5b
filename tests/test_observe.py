"""What an observer hears: each call to the store and each event, once."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.support.recording import RecordingStore
from tests.support.visitor import UNSIGNED, Visitor, warm
from wsgi_sessions import (
    ConfigurationError,
    ConflictError,
    CookieStore,
    MemoryStore,
    MsgpackCodec,
    RedisStore,
    SessionManager,
    SQLiteStore,
    StoreError,
    StoreUnavailable,
)
from wsgi_sessions.observe import EVENTS, OUTCOMES, PrometheusObserver
from wsgi_sessions.session import ObservedRepository, SessionRepository
from wsgi_sessions.stores import GuardedStore, ObservedStore, Stored
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"
DAY = 86_400


class Heard:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.seconds: list[float] = []
        self.events: list[tuple[str, str | None]] = []

    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        assert outcome in OUTCOMES
        self.calls.append((store, operation, outcome))
        self.seconds.append(seconds)

    def event(self, name: str, id: str | None) -> None:
        assert name in EVENTS
        self.events.append((name, id))

    def pop_calls(self) -> list[tuple[str, str, str]]:
        calls, self.calls = self.calls, []
        return calls

    def pop_events(self) -> list[tuple[str, str | None]]:
        events, self.events = self.events, []
        return events


class Untrained(MsgpackCodec):
    """Cannot decode any value that is no plain scalar."""

    def loads(self, data: bytes) -> Any:
        raise ValueError("of a newer version")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def manager(store: RecordingStore, clock: ManualClock, heard: Heard) -> SessionManager:
    manager = SessionManager(store, secret=SECRET, clock=clock, observer=heard)
    warm(manager)
    store.pop_calls()
    heard.pop_calls()
    heard.pop_events()
    return manager


@pytest.fixture
def id(visitor: Visitor, heard: Heard) -> str:
    """The id of a session with one value, whose making has been heard."""
    with visitor.request() as session:
        session["name"] = "Ada"
    heard.pop_calls()
    heard.pop_events()
    return session.id


# Events


def test_created_is_a_first_save(visitor: Visitor, heard: Heard) -> None:
    with visitor.request() as session:
        session["name"] = "Ada"
    assert heard.events == [("created", session.id)]


def test_created_is_a_value_that_is_saved_at_once(visitor: Visitor, heard: Heard) -> None:
    with visitor.request() as session:
        session.get_or_create("csrf", lambda: "token")
    assert heard.events == [("created", session.id)]


def test_an_ordinary_read_or_write_is_no_event(visitor: Visitor, id: str, heard: Heard) -> None:
    visitor.read()
    with visitor.request() as session:
        session["name"] = "Grace"
    assert heard.events == []


def test_renewed_is_a_read_that_extends_the_lifetime(
    visitor: Visitor, id: str, heard: Heard, clock: ManualClock
) -> None:
    clock.advance(DAY / 2)
    with visitor.request() as session:
        assert session["name"] == "Ada"
    assert heard.events == [("renewed", id)]


def test_regenerated_is_a_new_secret(visitor: Visitor, id: str, heard: Heard) -> None:
    with visitor.request() as session:
        session.regenerate()
    assert heard.events == [("regenerated", id)]


def test_regenerated_is_a_clear_before_new_values(visitor: Visitor, id: str, heard: Heard) -> None:
    with visitor.request() as session:
        session.clear()
        session["name"] = "Grace"
    assert heard.events == [("regenerated", id)]


def test_login_is_no_regenerated(visitor: Visitor, id: str, heard: Heard) -> None:
    with visitor.request() as session:
        session.login("ada")
    assert heard.events == [("login", id)]


def test_login_of_a_first_visit_is_created_too(visitor: Visitor, heard: Heard) -> None:
    with visitor.request() as session:
        session.login("ada")
    assert heard.events == [("created", session.id), ("login", session.id)]


def test_regenerated_after_a_login_in_the_same_moment(
    visitor: Visitor, id: str, heard: Heard
) -> None:
    """The clock stands still."""
    with visitor.request() as session:
        session.login("ada")
        session.save()
        session.regenerate()
    assert heard.events == [("login", id), ("regenerated", id)]


def test_login_by_a_login_key_and_logout_by_its_removal(
    store: RecordingStore, clock: ManualClock, heard: Heard
) -> None:
    """The session goes on without an owner, with a new secret."""
    manager = SessionManager(
        store, secret=SECRET, clock=clock, observer=heard, login_keys=["user_id"]
    )
    visitor = Visitor(warm(manager))
    heard.pop_events()
    with visitor.request() as session:
        session["cart"] = []
    id = session.id
    with visitor.request() as session:
        session["user_id"] = 7
    with visitor.request() as session:
        session["user_id"] = 7
    with visitor.request() as session:
        del session["user_id"]
    assert heard.events == [("created", id), ("login", id), ("regenerated", id)]


def test_ended_is_an_invalidation(visitor: Visitor, id: str, heard: Heard) -> None:
    with visitor.request() as session:
        session.invalidate()
    assert heard.events == [("ended", id)]


def test_ended_is_a_session_that_became_empty(visitor: Visitor, id: str, heard: Heard) -> None:
    with visitor.request() as session:
        del session["name"]
    assert heard.events == [("ended", id)]


def test_ended_is_not_what_has_expired(
    visitor: Visitor, id: str, heard: Heard, clock: ManualClock
) -> None:
    clock.advance(2 * DAY)
    assert visitor.read() == {}
    assert heard.events == []


def test_superseded_is_a_change_that_was_dropped(visitor: Visitor, id: str, heard: Heard) -> None:
    """It met the other save first, which is a conflict."""
    late = visitor.open()
    assert late.get("name") == "Ada"
    late["name"] = "Grace"
    with visitor.twin().request() as session:
        session.regenerate()
    visitor.respond(late)
    assert heard.events == [("regenerated", id), ("conflict", id), ("superseded", id)]


def test_superseded_is_a_change_by_a_cookie_that_was_just_replaced(
    visitor: Visitor, id: str, heard: Heard
) -> None:
    old = visitor.twin()
    with visitor.request() as session:
        session.regenerate()
    heard.pop_events()
    old.read()
    assert heard.events == []
    with old.request() as session:
        session["name"] = "Grace"
    assert heard.events == [("superseded", id)]


def test_superseded_is_not_a_change_that_an_outage_dropped(
    store: RecordingStore, clock: ManualClock, heard: Heard, visitor: Visitor, id: str
) -> None:
    """The call to the store has said it."""
    manager = SessionManager(
        store, secret=SECRET, clock=clock, observer=heard, on_store_error="anonymous"
    )
    store.failing = {"load"}
    with Visitor(manager, visitor.cookie).request() as session:
        session["name"] = "Grace"
    assert heard.events == []
    assert heard.calls == [("recording", "load", "unavailable")]


def test_conflict_is_a_save_that_met_another(visitor: Visitor, id: str, heard: Heard) -> None:
    """Both changes are kept."""
    slow = visitor.open()
    slow["city"] = slow.get("city", "London")
    with visitor.twin().request() as session:
        session["year"] = 1815
    visitor.respond(slow)
    assert heard.events == [("conflict", id)]
    assert visitor.read() == {"name": "Ada", "city": "London", "year": 1815}


def test_conflict_is_each_attempt(
    visitor: Visitor,
    id: str,
    heard: Heard,
    store: RecordingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a save that gives up too."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(store.inner, "save", lambda *args, **options: None)
    with pytest.raises(ConflictError), visitor.request() as session:
        session["name"] = "Grace"
    assert set(heard.events) == {("conflict", id)}
    assert len(heard.events) == heard.calls.count(("recording", "save", "refused")) > 1


def test_refused_is_a_cookie_that_nobody_signed(manager: SessionManager, heard: Heard) -> None:
    assert Visitor(manager, UNSIGNED).read() == {}
    assert heard.events == [("refused", None)]


def test_refused_is_a_cookie_with_an_old_secret(
    visitor: Visitor, id: str, heard: Heard, clock: ManualClock
) -> None:
    old = visitor.twin()
    with visitor.request() as session:
        session.regenerate()
    clock.advance(60)
    heard.pop_events()
    assert old.read() == {}
    assert heard.events == [("refused", id)]


@pytest.mark.parametrize("count", [2, 4])
def test_refused_are_cookies_of_several_sessions(
    count: int, manager: SessionManager, heard: Heard
) -> None:
    """Of two that are alive, and of more than are looked for."""
    visitors = [Visitor(manager) for _ in range(count)]
    for visitor in visitors:
        with visitor.request() as session:
            session["name"] = "Ada"
    heard.pop_events()
    assert manager.open("; ".join(visitor.header for visitor in visitors)).copy() == {}
    assert heard.events == [("refused", None)]


def test_damaged_is_a_record_that_cannot_be_read(
    visitor: Visitor, id: str, heard: Heard, store: RecordingStore, clock: ManualClock
) -> None:
    plant(store, id, b"garbage", clock)
    assert visitor.read() == {}
    assert heard.events == [("damaged", id)]


def test_damaged_is_not_a_record_of_another_key(
    visitor: Visitor, id: str, heard: Heard, store: RecordingStore, clock: ManualClock
) -> None:
    """A deployment that goes on: other workers can read it."""
    other = SessionManager(store, secret=SECRET, clock=clock, encryption_keys=["00" * 32, None])
    with Visitor(other, visitor.cookie).request() as session:
        session["name"] = "Grace"
    assert visitor.read() == {}
    assert heard.events == []


def test_damaged_is_a_value_that_cannot_be_decoded(
    visitor: Visitor, heard: Heard, store: RecordingStore, clock: ManualClock
) -> None:
    with visitor.request() as session:
        session["cart"] = ["book"]
    heard.pop_events()
    picky = SessionManager(store, secret=SECRET, clock=clock, observer=heard, codec=Untrained())
    assert Visitor(picky, visitor.cookie).open().get("cart") is None
    assert heard.events == [("damaged", session.id)]


def test_breaker_opened_and_closed(
    visitor: Visitor,
    id: str,
    heard: Heard,
    store: RecordingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the open breaker refuses is unavailable too, although the store is not called."""
    monkeypatch.setattr(time, "monotonic", clock)
    slow(store, clock)
    read(visitor, times=5)
    assert heard.pop_events() == [("breaker_opened", None)]
    assert heard.seconds[-5:] == [0.5] * 5
    store.pop_calls()
    heard.pop_calls()
    read(visitor, times=1)
    assert store.pop_calls() == []
    assert (heard.pop_calls(), heard.seconds[-1]) == ([("recording", "load", "unavailable")], 0)
    store.failing = set()
    clock.advance(1)
    assert visitor.read() == {"name": "Ada"}
    assert heard.events == [("breaker_closed", None)]


def test_every_event_has_a_test_here() -> None:
    """Named for it."""
    tests = [name for name in globals() if name.startswith("test_")]
    for event in EVENTS:
        stem = event.removesuffix("_opened").removesuffix("_closed")
        assert any(name.startswith(f"test_{stem}_") for name in tests), event


def test_refused_and_the_others_of_sessions_in_cookies(clock: ManualClock, heard: Heard) -> None:
    """``CookieStore`` has the same events."""
    options: dict[str, Any] = {"secret": SECRET, "clock": clock, "observer": heard}
    manager = SessionManager(CookieStore(), **options)
    visitor, other = Visitor(manager), Visitor(manager)
    for one in (visitor, other):
        with one.request() as session:
            session["name"] = "Ada"
    heard.pop_events()
    assert heard.pop_calls() == [("cookie", "save", "ok")] * 2
    assert manager.open(f"{visitor.header}; {other.header}").copy() == {}
    assert Visitor(manager, "forged").read() == {}
    with visitor.request() as session:
        id = session.id
        session.invalidate()
    assert heard.events == [("refused", None), ("refused", None), ("ended", id)]


def test_a_former_store_is_observed_and_its_session_created_but_not_logged_in(
    clock: ManualClock, heard: Heard, store: RecordingStore
) -> None:
    """The calls have its own name."""
    former = MemoryStore(clock=clock)
    visitor = Visitor(SessionManager(former, secret=SECRET, clock=clock))
    with visitor.request() as session:
        session.login("ada")
    manager = SessionManager(store, secret=SECRET, clock=clock, observer=heard, migrate_from=former)
    warm(manager)
    heard.pop_events()
    heard.pop_calls()
    moved = Visitor(manager, visitor.cookie)
    with moved.request() as session:
        assert session.owner == "ada"
    assert heard.events == [("created", session.id), ("renewed", session.id)]
    assert ("memory", "load", "ok") in heard.calls
    assert ("memory", "delete", "ok") in heard.calls


# Calls to the store


def test_each_call_to_the_store_is_heard_once_with_its_outcome(
    visitor: Visitor, heard: Heard, store: RecordingStore
) -> None:
    """In the order of the calls."""
    with visitor.request() as session:
        session["name"] = "Ada"
    old = visitor.twin()
    visitor.read()
    late = visitor.open()
    late["x"] = len(late)
    with visitor.twin().request() as session:
        session.invalidate()
    visitor.respond(late)
    old.read()
    outcomes = [
        ("save", "ok"),
        *[("load", "ok"), ("load", "ok")],
        *[("load", "ok"), ("delete", "ok")],
        *[("save", "refused"), ("load", "missing")],
        ("load", "missing"),
    ]
    assert heard.calls == [("recording", *one) for one in outcomes]
    assert [call for _, call, _ in heard.calls] == store.calls


def test_a_call_takes_the_seconds_that_the_store_took(
    visitor: Visitor,
    id: str,
    heard: Heard,
    store: RecordingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the clock that never goes back."""
    monkeypatch.setattr(time, "monotonic", clock)
    store.before["load"] = lambda: clock.advance(0.25)
    visitor.read()
    assert heard.seconds[-1] == pytest.approx(0.25)


def test_a_failure_of_the_store_is_unavailable_and_passed_on(
    visitor: Visitor, id: str, heard: Heard, store: RecordingStore
) -> None:
    store.failing = {"load"}
    read(visitor, times=1)
    store.failing = {"save"}
    with pytest.raises(StoreUnavailable), visitor.request() as session:
        session["name"] = "Grace"
    assert ("recording", "load", "unavailable") in heard.calls
    assert heard.calls[-1] == ("recording", "save", "unavailable")


def test_a_mistake_in_a_store_is_no_outage(
    visitor: Visitor, id: str, heard: Heard, store: RecordingStore
) -> None:
    """It is passed on as it is, and not heard."""
    store.before["load"] = mistake
    with pytest.raises(ZeroDivisionError):
        visitor.read()
    assert heard.calls == []


def test_a_store_error_of_any_kind_is_unavailable(
    visitor: Visitor, id: str, heard: Heard, store: RecordingStore
) -> None:
    """A visitor has a 503 of each."""
    store.before["load"] = refuse
    with pytest.raises(StoreError):
        visitor.read()
    assert heard.calls == [("recording", "load", "unavailable")]


@pytest.mark.parametrize(
    ("store", "name"),
    [
        (MemoryStore(), "memory"),
        (SQLiteStore("s.db"), "sqlite"),
        (RedisStore(), "redis"),
        (CookieStore(), "cookie"),
        (type("Store", (MemoryStore,), {})(), "store"),
        (type("Shelf", (MemoryStore,), {})(), "shelf"),
    ],
)
def test_a_store_is_named_by_its_class(store: Any, name: str, heard: Heard) -> None:
    manager = SessionManager(store, secret=SECRET, observer=heard)
    guarded = manager.repository.store
    assert isinstance(guarded, ObservedStore)
    assert guarded._name == name


def test_an_observed_store_reports_every_operation_of_a_guarded_one() -> None:
    """One that is added is not forgotten."""
    operations = {name for name in vars(GuardedStore) if not name.startswith("_")}
    operations.remove("reachable")  # no call of the store
    assert operations <= set(vars(ObservedStore))


# No observer, and one that fails


def test_without_an_observer_nothing_stands_between() -> None:
    """The classes are those that know nothing of observers."""
    manager = SessionManager(MemoryStore(), secret=SECRET)
    assert type(manager.repository) is SessionRepository
    assert type(manager.repository.store) is GuardedStore
    observed = SessionManager(MemoryStore(), secret=SECRET, observer=Heard())
    assert type(observed.repository) is ObservedRepository


class Failing:
    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        raise LookupError("no such metric")

    def event(self, name: str, id: str | None) -> None:
        raise ZeroDivisionError


def test_an_observer_that_raises_is_logged_once_and_breaks_nothing(
    store: RecordingStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each of its methods and each kind of error."""
    manager = SessionManager(store, secret=SECRET, clock=clock, observer=Failing())
    visitor = Visitor(manager)
    with caplog.at_level(logging.ERROR, "wsgi_sessions"):
        for _ in range(3):
            with visitor.request() as session:
                session.increment("visits")
                session.regenerate()
    assert visitor.read() == {"visits": 3}
    assert sorted(record.getMessage() for record in caplog.records) == [
        "the observer's event failed; the next time it is not logged",
        "the observer's store_call failed; the next time it is not logged",
    ]
    assert all(record.exc_info for record in caplog.records)


class Empty(Heard):
    def __len__(self) -> int:
        return 0


def test_an_observer_that_is_false_observes(store: RecordingStore) -> None:
    """One that has a length, for instance."""
    empty = Empty()
    with Visitor(SessionManager(store, secret=SECRET, observer=empty)).request() as session:
        session["name"] = "Ada"
    assert [name for name, _ in empty.events] == ["created"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (PrometheusObserver, r"^observer is the class PrometheusObserver: write"),
        (object(), r"^observer is a object, which has no store_call, event: give Prom"),
        (print, r"which has no store_call, event"),
    ],
)
def test_what_is_no_observer_is_refused(wrong: Any, message: str) -> None:
    """When the manager is built."""
    with pytest.raises(TypeError, match=message):
        SessionManager(MemoryStore(), observer=wrong)


# Health


def test_check_is_one_read_that_finds_nothing(manager: SessionManager, heard: Heard) -> None:
    manager.check()
    assert heard.calls == [("recording", "load", "missing")]


def test_check_raises_what_is_wrong(manager: SessionManager, store: RecordingStore) -> None:
    store.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        manager.check()


# Prometheus


def test_prometheus_counts_calls_and_events(store: RecordingStore, clock: ManualClock) -> None:
    """By the names that the docs give; what has not happened is zero."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    visitor = Visitor(SessionManager(store, secret=SECRET, clock=clock, observer=observer))
    with visitor.request() as session:
        session.login("ada")
    visitor.read()
    calls = "wsgi_sessions_store_call_duration_seconds_count"
    labels = {"store": "recording", "operation": "load", "outcome": "ok"}
    assert registry.get_sample_value(calls, labels) == 1
    counted = {
        event: registry.get_sample_value("wsgi_sessions_events_total", {"event": event})
        for event in EVENTS
    }
    assert counted == dict.fromkeys(EVENTS, 0) | {"created": 1, "login": 1}
    assert session.id not in generate_latest(registry).decode()


def test_prometheus_observers_of_one_registry_count_together() -> None:
    """As those of two applications in one process."""
    registry = CollectorRegistry()
    for _ in range(2):
        PrometheusObserver(registry).event("login", None)
    total = registry.get_sample_value("wsgi_sessions_events_total", {"event": "login"})
    assert total == 2


def test_prometheus_registers_with_the_default_registry() -> None:
    """In a process of its own, since that is shared."""
    program = (
        "from prometheus_client import generate_latest\n"
        "from wsgi_sessions.observe import PrometheusObserver\n"
        "PrometheusObserver().event('login', None)\n"
        "print(generate_latest().decode())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'wsgi_sessions_events_total{event="login"} 1.0' in result.stdout, result.stderr


def test_prometheus_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r'pip install "wsgi-sessions\[prometheus\]"'):
        PrometheusObserver()


# What the tests need


def plant(store: RecordingStore, key: str, data: bytes, clock: ManualClock) -> None:
    """Put *data* in the place of what is stored."""
    stored = store.inner.load(key)
    assert isinstance(stored, Stored)
    store.inner.save(key, data, expires_at=clock() + DAY, replacing=stored.version)


def slow(store: RecordingStore, clock: ManualClock) -> None:
    """From now on each load fails after half a second of *clock*."""

    class Hangs(dict[str, Callable[[], object]]):
        def pop(self, name: str, *default: object) -> Callable[[], object]:
            return lambda: clock.advance(0.5) if name in store.failing else None

    store.before = Hangs(load=lambda: None)
    store.failing = {"load"}


def read(visitor: Visitor, *, times: int) -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            visitor.read()


def mistake() -> object:
    return 1 / 0


def refuse() -> object:
    raise StoreError("a store of the application's says no")
