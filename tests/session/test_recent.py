"""What a process has read or written last is not unpacked again, and is never anything else than
what the store holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.remembered import meaning
from tests.support.visitor import Visitor, warm
from wsgi_sessions import MemoryStore, Session, SessionManager
from wsgi_sessions.record import Record, RecordCipher, unpack
from wsgi_sessions.session import repository, state_of
from wsgi_sessions.session.recent import RecentRecords
from wsgi_sessions.testing import ManualClock

SECRET = "the signing secret of the tests"

CHANGES: dict[str, Callable[[Session], object]] = {
    "one key": lambda session: session.update(b=2),
    "a key removed": lambda session: session.pop("a"),
    "a value changed inside": lambda session: session["list"].append(3),
    "a large value": lambda session: session.update(large="x" * 10_000),
    "a large value replaced": lambda session: session.update(big=["y" * 900]),
    "a large value removed": lambda session: session.pop("big"),
    "all large values removed": lambda session: (session.pop("big"), session.pop("text")),
    "a new secret": lambda session: session.regenerate(),
    "a login": lambda session: session.login("ann"),
    "a clear": lambda session: (session.clear(), session.update(c=1)),
    "a lifetime of its own": lambda session: setattr(session, "lifetime", 900),
    "permanent": lambda session: setattr(session, "permanent", True),
}


@pytest.fixture
def other(store: RecordingStore, clock: ManualClock) -> Visitor:
    """The same browser at another worker; give it the cookie."""
    manager = warm(SessionManager(store, secret=SECRET, clock=clock))
    store.pop_calls()
    return Visitor(manager)


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was unpacked."""
    seen: list[bytes] = []

    def count(data: bytes) -> Record:
        seen.append(data)
        return unpack(data)

    monkeypatch.setattr(repository, "unpack", count)
    return seen


def test_a_session_that_nobody_has_changed_is_unpacked_once(
    visitor: Visitor, other: Visitor, store: RecordingStore, unpacked: list[bytes]
) -> None:
    with visitor.request() as session:
        session["a"] = 1
    other.cookie = visitor.cookie
    store.pop_calls()
    for _ in range(3):
        assert other.open()["a"] == 1
    assert len(unpacked) == 1
    assert store.pop_calls() == ["load"] * 3  # but the store is asked each time


def test_what_a_process_has_written_it_does_not_unpack(
    visitor: Visitor, unpacked: list[bytes]
) -> None:
    for number in range(3):
        with visitor.request() as session:
            session["a"] = number
    assert visitor.open()["a"] == 2
    assert unpacked == []


def test_what_another_process_has_written_is_read(visitor: Visitor, other: Visitor) -> None:
    with visitor.request() as session:
        session["a"] = 1
    other.cookie = visitor.cookie
    assert other.open()["a"] == 1
    with visitor.request() as session:
        session["a"] = 2
    assert other.open()["a"] == 2


def test_other_bytes_of_a_remembered_session_are_checked(
    visitor: Visitor, store: RecordingStore
) -> None:
    """Damage, or what somebody has planted under its id."""
    with visitor.request() as session:
        session["a"] = 1
    id = visitor.open().id
    stored = store.inner.load(id)
    assert stored is not None
    damaged = stored.data[:-1] + bytes([stored.data[-1] ^ 1])
    store.inner.save(id, damaged, expires_at=2e9, replacing=stored.version)
    assert visitor.open().get("a") is None


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("then", ["nothing", "one key", "a large value", "a large value removed"])
def test_what_is_remembered_is_what_another_process_reads(
    visitor: Visitor, other: Visitor, change: str, then: str
) -> None:
    with visitor.request() as session:
        session.update({"a": 1, "list": [1, 2], "big": ["x" * 900], "text": "z" * 2_000})
    with visitor.request() as session:
        CHANGES[change](session)
    if then != "nothing":
        with visitor.request() as session:
            session.setdefault("big", [1])
            CHANGES[then](session)
    other.cookie = visitor.cookie
    mine, fresh = visitor.open(), other.open()
    assert [*mine.items()] == [*fresh.items()]
    ours, theirs = (state_of(one).load().record for one in (mine, fresh))
    assert ours is not None
    assert theirs is not None
    assert meaning(ours) == meaning(theirs)


def test_what_stands_for_an_emptied_session_opens_nothing(clock: ManualClock) -> None:
    """Where the store still gives it out, as one may whose clock goes behind."""

    class Behind(RecordingStore):
        def save(self, key: str, data: bytes, *, expires_at: float, replacing: Any) -> Any:
            return super().save(key, data, expires_at=expires_at or 2e9, replacing=replacing)

    store = Behind(MemoryStore(clock=clock))
    visitor = Visitor(warm(SessionManager(store, secret=SECRET, clock=clock)))
    with visitor.request() as session:
        session["a"] = 1
    old = visitor.twin()
    with visitor.request() as session:
        session.clear()
    assert store.inner.load(old.cookie[:22]) is not None
    session = old.open()
    assert session.new
    assert dict(session) == {}


def test_a_request_that_changes_a_session_changes_nothing_for_others(visitor: Visitor) -> None:
    """They share what is remembered, and no value that can change."""
    with visitor.request() as session:
        session["list"] = [1]
    one, other = visitor.open(), visitor.open()
    one["list"].append(2)
    one["more"] = True
    assert dict(other) == {"list": [1]}


def test_with_encryption_the_same_bytes_are_decrypted_once(
    store: RecordingStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = (
        warm(SessionManager(store, secret=SECRET, encryption_keys=["11" * 32], clock=clock))
        for _ in range(2)
    )
    visitor, decrypt, decrypted = Visitor(one), RecordCipher.decrypt, []

    def counted(self: RecordCipher, data: bytes, context: bytes) -> bytes | None:
        decrypted.append(data)
        return decrypt(self, data, context)

    monkeypatch.setattr(RecordCipher, "decrypt", counted)
    with visitor.request() as session:
        session["a"] = 1
    for _ in range(3):
        assert Visitor(another, visitor.cookie).open()["a"] == 1
    assert len(decrypted) == 1


RECORD = Record(b"h" * 32, 1.0, 2.0, None, 0, 60.0, None, None, (), {})


def test_a_worker_remembers_a_mebibyte_at_most() -> None:
    recent = RecentRecords()
    for number in range(5_000):
        recent.add(str(number), bytes(1_000), RECORD)
        assert 1_000 <= sum(len(data) for data, _ in recent.values()) <= 1 << 20


def test_a_large_record_is_not_remembered() -> None:
    recent = RecentRecords()
    recent.add("x", bytes((1 << 16) + 1), RECORD)
    recent.add("y", bytes(1 << 16), RECORD)
    assert list(recent) == ["y"]
