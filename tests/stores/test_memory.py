"""What MemoryStore alone has."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores import memory
from wsgi_sessions.stores.memory import MemoryStore
from wsgi_sessions.testing import ManualClock, StoreContract
from wsgi_sessions.testing.forks import forked


class TestContract(StoreContract):
    """MemoryStore keeps the rules of every store."""

    shared = False

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return MemoryStore(max_sessions=3, clock=clock)


def save(store, *keys, expires_at=9e9):
    for key in keys:
        assert store.save(key, b"data", expires_at=expires_at, replacing=None) is not None


def save_owned(store, key, owner="ann", expires_at=9e9):
    ends = {"expires_at": expires_at, "replacing": None}
    assert store.save_owned(key, b"data", **ends, owner=owner, was=None) is not None


def test_what_was_least_recently_used_goes_first(store):
    """Loading and saving are use; the newest always fits."""
    save(store, "first", "saved", "loaded")
    version = store.load("saved").version
    save(store, "a")
    assert store.load("first") is None
    store.save("saved", b"new", expires_at=9e9, replacing=version)
    store.load("loaded")
    save(store, "b")
    assert sorted(store.keys()) == ["b", "loaded", "saved"]
    store.load("saved")
    save(store, "c", "d")
    assert sorted(store.keys()) == ["c", "d", "saved"]


def test_what_has_expired_goes_before(store, clock, caplog):
    """However recently it was used, and without a warning."""
    save(store, "old")
    save(store, "short", expires_at=clock() + 1)
    save(store, "also")
    clock.advance(1)
    save(store, "new")
    assert sorted(store.keys()) == ["also", "new", "old"]
    assert caplog.messages == []


def move(store, key, expires_at):
    """Save it again, to expire at another time."""
    found = store.load(key)
    store.save(key, found.data, expires_at=expires_at, replacing=found.version)


def test_a_moved_expiry_counts(store, clock):
    """Neither the expiry before a save nor that of a deleted record makes room."""
    save(store, "a", "b", expires_at=clock() + 1)
    move(store, "a", 9e9)
    store.delete("b")
    save(store, "b", "c")
    clock.advance(2)
    assert store.purge() == 0
    assert sorted(store.keys()) == ["a", "b", "c"]


def test_dropping_is_warned_about_but_not_each_time(store, caplog):
    """One line on wsgi_sessions, however many are dropped, and no key in it."""
    save(store, *(f"key-{number}" for number in range(500)))
    [record] = caplog.records
    assert record.name == "wsgi_sessions"
    assert "max_sessions=3" in record.getMessage()
    assert "key" not in record.getMessage()


def test_the_next_warning_says_how_many_were_dropped(store, caplog, monkeypatch):
    """Those since the last."""
    save(store, *"abcdefg")
    monkeypatch.setattr(memory, "WARNING_SECONDS", 0.0)
    caplog.clear()
    save(store, "h")
    assert "4 that had not expired" in caplog.messages[0]


def test_nothing_is_scanned_and_nothing_piles_up(clock):
    """A record saved a thousand times leaves what one leaves, expired ones nothing."""
    store = MemoryStore(clock=clock)
    for number in range(2000):
        save_owned(store, f"{number}", expires_at=clock() + 5)
        move(store, f"{number}", clock() + 10)
        clock.advance(1)
    for _ in range(2000):
        move(store, f"{number}", clock() + 10)
    kept = [store._records, store._expiries, store._expiries.heap]
    kept += [store._owners, store._listed["ann"]]
    assert max(map(len, kept)) < 200


def test_owners_without_keys_are_forgotten(store, clock):
    """Users who come once leave nothing, whether they log out or not."""
    for number in range(100):
        save_owned(store, f"{number}", f"user {number}", expires_at=clock() + 1)
        if number % 2:
            store.delete(f"{number}")
    clock.advance(2)
    store.purge()
    assert store._owners == {}
    assert store._listed == {}


def test_what_is_dropped_to_make_room_is_not_listed(clock):
    store = MemoryStore(max_sessions=2, clock=clock)
    for key in "abc":
        save_owned(store, key, expires_at=clock() + 5)
    assert store.keys_of("ann") == ["b", "c"]


@pytest.mark.parametrize("number", [0, -1])
def test_max_sessions_is_at_least_one(number):
    """A store that holds nothing would log everybody out."""
    with pytest.raises(ConfigurationError, match="max_sessions"):
        MemoryStore(max_sessions=number)


def test_a_fork_never_happens_in_the_middle(store):
    """A child finds no lock that a thread of the parent has taken."""
    stop = threading.Event()

    def keep_using():
        while not stop.is_set():
            store.delete("key")

    def child():
        signal.alarm(30)
        save(store, f"child {os.getpid()}")

    threads = [threading.Thread(target=keep_using) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with forked(child):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
