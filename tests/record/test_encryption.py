"""Records that the store cannot read, make or move."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import ConfigurationError, MemoryStore, SessionManager, SessionTooLarge
from wsgi_sessions.errors import BadRecord
from wsgi_sessions.manager import settings_of
from wsgi_sessions.record.encryption import RecordCipher
from wsgi_sessions.record.record import unpack_body
from wsgi_sessions.testing import ManualClock

OLD, NEW = bytes(range(32)), "ff" * 32


def visiting(store: Any, clock: ManualClock, keys: Any, cookie: str = "") -> Visitor:
    manager = SessionManager(store, secret="x", encryption_keys=keys, clock=clock)
    return Visitor(manager, cookie)


@pytest.fixture
def visitor(store: RecordingStore, clock: ManualClock) -> Visitor:
    visitor = visiting(store, clock, [OLD])
    with visitor.request() as session:
        session["password"] = "hunter2"
    return visitor


def test_the_store_holds_nothing_readable(visitor: Visitor, store: RecordingStore) -> None:
    """Neither key names nor values; the same record is never the same bytes."""
    stored = store.load(visitor.open().id)
    assert stored is not None
    assert b"hunter2" not in stored.data
    assert b"password" not in stored.data
    with visitor.request() as session:
        session["n"] = 1
    again = store.load(visitor.open().id)
    assert again is not None
    assert again.data[5:40] != stored.data[5:40]
    assert visitor.read() == {"password": "hunter2", "n": 1}


def test_keys_rotate(visitor: Visitor, store: RecordingStore, clock: ManualClock) -> None:
    """The first encrypts, all decrypt."""
    both = visiting(store, clock, [NEW, OLD], visitor.cookie)
    with both.request() as session:
        assert session["password"] == "hunter2"
        session["more"] = 1
    assert visiting(store, clock, [NEW], visitor.cookie).read()["more"] == 1
    assert visiting(store, clock, [OLD], visitor.cookie).read() == {}


def test_a_record_under_another_key_is_refused(
    visitor: Visitor, store: RecordingStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who can write to the store cannot give one visitor the session of another."""
    victim = visiting(store, clock, [OLD])
    with victim.request() as session:
        session["mine"] = 1
    target, source = store.load(victim.open().id), store.load(visitor.open().id)
    assert target is not None
    assert source is not None
    store.save(victim.open().id, source.data, expires_at=1e10, replacing=target.version)
    assert victim.read() == {}
    assert "for another session" in caplog.text


def test_what_a_record_is_bound_to_never_changes(visitor: Visitor, store: RecordingStore) -> None:
    """Else a new version of this library could not read what an older one has written."""
    id = visitor.open().id
    stored = store.load(id)
    assert stored is not None
    data = RecordCipher([OLD]).decrypt(stored.data, f"wsgi_sessions.record:{id}".encode())
    assert data is not None
    assert list(unpack_body(data).values) == ["password"]


@pytest.mark.parametrize(
    "steps", [[[None], [None, OLD], [OLD, None], [OLD]], [[OLD], [OLD, None], [None, OLD], [None]]]
)
def test_a_running_site_gets_to_encryption_and_back_by_three_deployments(
    store: RecordingStore, clock: ManualClock, steps: list[Any]
) -> None:
    """At each step workers of the step before are still there: both read what either writes."""
    cookie = ""
    for number, keys in enumerate(steps):
        for mine in [steps[number - 1], keys, steps[number - 1]] if number else [keys]:
            worker = visiting(store, clock, mine, cookie)
            with worker.request() as session:
                session["n"] = session.get("n", 0) + 1
            cookie = worker.cookie
    assert visiting(store, clock, steps[-1], cookie).read() == {"n": 1 + 3 * 3}


@pytest.mark.parametrize("other", [[NEW], None])
def test_a_record_under_a_key_that_is_not_here_is_left_alone(
    visitor: Visitor, store: RecordingStore, clock: ManualClock, other: Any
) -> None:
    """It reads as empty, nothing is written, no cookie is set: another worker has the key."""
    stored = store.load(visitor.open().id)
    stranger = visiting(store, clock, other, visitor.cookie)
    with stranger.request() as session:
        assert session.copy() == {}
        session["x"] = 1
    assert stranger.set_cookie is None
    assert store.load(visitor.open().id) == stored
    assert visitor.read() == {"password": "hunter2"}


def test_a_key_is_named_by_four_bytes_that_are_authenticated() -> None:
    """One that fits no key is for others; one that fits, where the rest does not, is damaged."""
    cipher = RecordCipher([OLD])
    data = cipher.encrypt(b"data", b"context")
    assert data[1:5] == hmac.digest(OLD, b"wsgi_sessions.key-name", "sha256")[:4]
    assert cipher.decrypt(data, b"context") == b"data"
    assert RecordCipher([bytes.fromhex(NEW)]).decrypt(data, b"context") is None
    with pytest.raises(BadRecord):
        cipher.decrypt(data, b"another context")
    for position in range(5, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(BadRecord):
            cipher.decrypt(bytes(damaged), b"context")
    of_another = RecordCipher([bytes(32)]).encrypt(b"data", b"context")
    with pytest.raises(BadRecord):  # a name alone opens nothing
        cipher.decrypt(data[:5] + of_another[5:], b"context")


def test_overlapping_requests_are_merged(visitor: Visitor) -> None:
    """After a conflict the record is opened again."""
    first, twin = visitor.open(), visitor.twin()
    first["mine"] = first["password"]
    with twin.request() as session:
        session["theirs"] = 1
    visitor.respond(first)
    assert visitor.read() == {"password": "hunter2", "mine": "hunter2", "theirs": 1}


@pytest.mark.parametrize("keys", [[OLD], None])
def test_there_is_no_way_back_to_plaintext(
    store: RecordingStore, clock: ManualClock, keys: Any
) -> None:
    """A record that is not encrypted is refused where keys are set, and the other way round."""
    writer = visiting(store, clock, keys)
    with writer.request() as session:
        session["x"] = 1
    reader = visiting(store, clock, None if keys else [OLD], writer.cookie)
    assert reader.read() == {}


def test_every_damaged_byte_is_refused(visitor: Visitor, store: RecordingStore) -> None:
    """The tag covers all of it."""
    id = visitor.open().id
    stored = store.load(id)
    assert stored is not None
    version = stored.version
    for position in range(len(stored.data)):
        damaged = bytearray(stored.data)
        damaged[position] ^= 1
        version = store.save(id, bytes(damaged), expires_at=1e10, replacing=version)
        assert visitor.read() == {}


def test_the_limit_counts_what_is_sent(clock: ManualClock) -> None:
    """Encryption included."""
    store = RecordingStore(MemoryStore(clock=clock))
    manager = SessionManager(store, secret="x", encryption_keys=[OLD], max_bytes=300, clock=clock)
    first = manager.open("")
    first["x"] = 1
    first.save()  # with it the process looks once whether others sign by the same key
    store.pop_calls()
    session = manager.open("")
    session["x"] = "y" * 200
    with pytest.raises(SessionTooLarge):
        session.save()
    assert store.pop_calls() == []


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (b"x" * 32, TypeError),
        ("ff" * 32, TypeError),
        ([], ConfigurationError),
        ([b"short"], ConfigurationError),
        (["a passphrase"], ConfigurationError),
        (["zz" * 32], ConfigurationError),
        ([1], TypeError),
    ],
)
def test_keys_are_32_bytes(keys: Any, error: type[Exception]) -> None:
    """In a sequence; the error shows how to make one, and not the key."""
    with pytest.raises(error) as caught:
        SessionManager(MemoryStore(), secret="x", encryption_keys=keys)
    assert "passphrase" not in str(caught.value)


def test_a_key_may_be_base64url(store: RecordingStore, clock: ManualClock) -> None:
    """As secrets.token_urlsafe(32) makes it."""
    visitor = visiting(store, clock, ["A" * 43])
    with visitor.request() as session:
        session["x"] = 1
    assert visiting(store, clock, [bytes(32)], visitor.cookie).read() == {"x": 1}


def test_the_keys_are_those_that_were_checked() -> None:
    """A list that is changed afterwards changes nothing."""
    given = [OLD]
    settings = settings_of({"encryption_keys": given})
    given[:] = [b"too short"]
    assert settings.encryption_keys == (OLD,)
