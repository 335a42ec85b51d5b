"""Deployments log nobody out: two generations of workers side by side, each step both ways."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import MemoryStore, Session, SessionManager
from wsgi_sessions.cookie import SHARED_KEY_NAME
from wsgi_sessions.testing import ManualClock

SECRET, OTHER = "the signing secret of the tests", "another signing secret of the tests"
KEY = "00" * 32
Worker = Callable[..., SessionManager]


@pytest.fixture
def worker(store: RecordingStore, clock: ManualClock) -> Worker:
    def worker(kept: Any = store, **options: Any) -> SessionManager:
        return SessionManager(kept, clock=clock, **options)

    return worker


def log_in(manager: SessionManager) -> Visitor:
    visitor = Visitor(manager)
    with visitor.request() as session:
        session.login("ann")
        session["x"] = 0
    return visitor


STEPS: dict[str, list[dict[str, Any]]] = {
    "secret after a shared key": [{}, {"fallback_secrets": [SECRET]}, {"secret": SECRET}],
    "another secret": [
        {"secret": SECRET},
        {"secret": SECRET, "fallback_secrets": [OTHER]},
        {"secret": OTHER, "fallback_secrets": [SECRET]},
    ],
    "encryption": [
        {"secret": SECRET, "encryption_keys": None},
        {"secret": SECRET, "encryption_keys": [None, KEY]},
        {"secret": SECRET, "encryption_keys": [KEY, None]},
    ],
    "another encryption key": [
        {"secret": SECRET, "encryption_keys": [KEY]},
        {"secret": SECRET, "encryption_keys": [KEY, "11" * 32]},
        {"secret": SECRET, "encryption_keys": ["11" * 32, KEY]},
        {"secret": SECRET, "encryption_keys": ["11" * 32]},
    ],
}


@pytest.mark.parametrize("what", STEPS)
def test_a_rolling_deployment_logs_nobody_out(
    worker: Worker, clock: ManualClock, what: str
) -> None:
    """Each request of a visitor meets a worker of the one or the other generation, and writes."""
    generations = [worker(**options) for options in STEPS[what]]
    visitor, written = log_in(generations[0]), 0
    for old, new in pairwise(generations):
        for manager in (old, new, new, old, old, new):
            visitor.manager = manager
            clock.advance(10_000)
            with visitor.request() as session:
                assert (session.owner, session["x"]) == ("ann", written)
                session["x"] = written = written + 1
        visitor.manager = new


def test_the_last_step_of_encryption_keeps_what_was_encrypted(worker: Worker) -> None:
    visitor = log_in(worker(secret=SECRET, encryption_keys=[KEY, None]))
    visitor.manager = worker(secret=SECRET, encryption_keys=[KEY])
    assert visitor.open().owner == "ann"


def test_a_secret_that_is_set_keeps_the_visitors(worker: Worker, store: RecordingStore) -> None:
    """The stored key is loaded once, with the first cookie that no other key has signed."""
    old, other = log_in(worker()), log_in(worker())
    manager = worker(secret=SECRET)
    own = log_in(manager)
    store.pop_calls()
    assert own.open().owner == "ann"
    assert store.pop_calls() == ["load"]
    old.manager = other.manager = manager
    assert (old.open().owner, other.open().owner) == ("ann", "ann")
    assert store.pop_calls() == ["load", "load", "load", "load"]  # key, hint, two records


def test_a_stored_key_that_is_missing_is_remembered(worker: Worker, store: RecordingStore) -> None:
    """A forged cookie costs something once in a process."""
    manager = worker(secret=SECRET)
    forged = Visitor(worker(MemoryStore(), secret=OTHER))
    with forged.request() as session:
        session["x"] = 1
    forged.manager = manager
    for calls in (["load", "load"], [], []):
        assert forged.read() == {}
        assert store.pop_calls() == calls
    store.inner.save(SHARED_KEY_NAME, b"k" * 32, expires_at=1e10, replacing=None)
    assert forged.read() == {}
    assert store.pop_calls() == []


@pytest.mark.parametrize("leave", [None, Session.invalidate, lambda s: s.login("bob")])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"encryption_keys": None}, {"encryption_keys": [KEY]}),
        ({"encryption_keys": ["11" * 32]}, {"encryption_keys": [KEY]}),
    ],
)
def test_a_record_for_other_workers_is_left_alone(
    worker: Worker, mine: dict[str, Any], theirs: dict[str, Any], leave: Any
) -> None:
    """It reads as empty, writes nothing and sends no cookie; a login goes into a session of its
    own, and a logout expires the cookie."""
    visitor = log_in(worker(secret=SECRET, **theirs))
    twin, visitor.manager = visitor.twin(), worker(secret=SECRET, **mine)
    with visitor.request() as session:
        assert session.copy() == {}
        session["late"] = 1
        if leave is not None:
            leave(session)
    if leave is None:
        assert visitor.set_cookie is None
    elif leave is Session.invalidate:
        assert visitor.cookie == ""
    else:
        assert (visitor.open().owner, visitor.read()) == ("bob", {"late": 1})
    assert (twin.open().owner, twin.read()) == ("ann", {"x": 0})


@pytest.mark.parametrize("encryption_keys", [None, [KEY]])
def test_a_move_to_another_store_logs_nobody_out(
    worker: Worker, clock: ManualClock, encryption_keys: Any
) -> None:
    """A new id, the same content, owner and age; gone in the old place, listed in the new one."""
    old, new = MemoryStore(clock=clock), MemoryStore(clock=clock)
    options = {"secret": SECRET, "encryption_keys": encryption_keys}
    visitor = log_in(worker(old, **options))
    before, stale = visitor.open(), visitor.twin()
    assert before.owner == "ann"
    clock.advance(100)
    visitor.manager = stale.manager = warm(worker(new, migrate_from=old, **options))
    with visitor.request() as session:
        assert (session.owner, session.copy()) == ("ann", {"x": 0})
        assert session.created_at == before.created_at
        assert session.id != before.id
    assert visitor.cookie[:22] != before.id
    assert old.load(before.id) is None
    assert list(old.keys_of("ann")) == []
    assert list(new.keys_of("ann")) == [visitor.cookie[:22]]
    assert stale.open().id == visitor.open().id  # a request that still carries the old cookie
    with visitor.request() as session:
        session.invalidate()
    assert stale.read() == {}


def test_what_a_move_costs(worker: Worker, store: RecordingStore, clock: ManualClock) -> None:
    """Once for each session; afterwards it is like any other."""
    old = RecordingStore(MemoryStore(clock=clock))
    visitor = log_in(worker(old, secret=SECRET))
    visitor.manager = warm(worker(migrate_from=[old], secret=SECRET))
    for calls in (old.pop_calls, store.pop_calls):
        calls()
    with visitor.request() as session:
        assert session.owner == "ann"
    assert old.pop_calls() == ["load", "delete"]
    assert store.pop_calls() == ["load", "load", "load", "save", "save", "load", "save"]
    assert visitor.open().owner == "ann"
    assert (store.pop_calls(), old.pop_calls()) == (["load"], [])


def test_a_wrong_secret_opens_nothing_in_a_former_store(worker: Worker, clock: ManualClock) -> None:
    """A cookie from before a login."""
    old = MemoryStore(clock=clock)
    visitor = log_in(worker(old, secret=SECRET))
    before = visitor.twin()
    with visitor.request() as session:
        session.regenerate()
    clock.advance(60)
    before.manager = worker(migrate_from=old, secret=SECRET)
    assert before.read() == {}
    assert old.load(visitor.cookie[:22]) is not None


def test_a_logout_that_comes_first_ends_it_in_both_places(
    worker: Worker, clock: ManualClock
) -> None:
    """The old cookie opens nothing afterwards, though the old store still knows it."""
    old = RecordingStore(MemoryStore(clock=clock))
    visitor = log_in(worker(old, secret=SECRET))
    twin = visitor.twin()
    old.failing = {"delete"}
    visitor.manager = twin.manager = worker(migrate_from=old, secret=SECRET)
    with visitor.request() as session:
        session.invalidate()
    assert visitor.cookie == ""
    assert old.inner.load(twin.cookie[:22]) is not None
    assert twin.read() == {}


def test_workers_with_keys_of_their_own_say_so_once_and_by_name(
    worker: Worker, store: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    """``SECRET_KEY = os.urandom(24)`` in the module: what looks like random logouts."""
    caplog.set_level("WARNING")
    visitor = log_in(worker(secret=os.urandom(24)))
    assert not caplog.messages
    other = worker(secret=os.urandom(24))
    for _ in range(5):
        assert Visitor(other, visitor.cookie).open().owner is None
    assert len(caplog.messages) == 1
    assert "secret (SECRET_KEY in Flask)" in caplog.text
    caplog.clear()
    third = worker(secret=os.urandom(24))
    for _ in range(3):
        log_in(third)
    assert len(caplog.messages) == 1


def test_a_rotation_is_no_such_mistake(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is the fallback that goes afterwards."""
    caplog.set_level("WARNING")
    for options in (
        {"secret": SECRET},
        {"secret": OTHER, "fallback_secrets": [SECRET]},
        {"secret": OTHER},
    ):
        for _ in range(2):
            log_in(worker(**options))
    assert not caplog.messages


def test_the_store_cannot_be_asked_for_the_key(worker: Worker, store: RecordingStore) -> None:
    """Two bytes of it are none."""
    log_in(worker(secret=SECRET))
    sizes = {
        key: len(store.inner.load(key).data)  # type: ignore[union-attr]
        for key in store.inner.keys()  # type: ignore[attr-defined]  # noqa: SIM118
        if len(key) != 22
    }
    assert sizes == {"signing-key-hint": 2}


def test_a_move_to_another_store_by_a_rolling_deployment(
    worker: Worker, clock: ManualClock
) -> None:
    """A deployment before it lets the old workers read the new store: then a visitor may meet
    either, in any order, and stays who he is; a logout counts at both."""
    old, new = MemoryStore(clock=clock), MemoryStore(clock=clock)
    before = worker(old, migrate_from=new, secret=SECRET)
    after = worker(new, migrate_from=old, secret=SECRET)
    visitor, written = log_in(before), 0
    for manager in (before, after, after, before, before, after, before):
        visitor.manager = manager
        with visitor.request() as session:
            assert (session.owner, session["x"]) == ("ann", written)
            session["x"] = written = written + 1
    twin = visitor.twin()
    visitor.manager, twin.manager = after, before
    with visitor.request() as session:
        session.invalidate()
    assert twin.read() == {}
    assert len(list(old.keys_of("ann"))) + len(list(new.keys_of("ann"))) == 0
