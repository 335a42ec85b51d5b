"""Somebody logs in while the session is another's: neither data nor listing of the one stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.recording import RecordingOwners, RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import MemoryStore, Session, SessionManager, StoreUnavailable
from wsgi_sessions.testing import ManualClock


@pytest.fixture
def owners(clock: ManualClock) -> MemoryStore:
    """The index."""
    return MemoryStore(clock=clock)


@pytest.fixture
def store(owners: MemoryStore) -> RecordingStore:
    return RecordingOwners(owners)


@pytest.fixture
def ann(visitor: Visitor, store: RecordingStore) -> Visitor:
    """A visitor who is logged in, and remembered."""
    with visitor.request() as session:
        session.update(address="Ann's", cart=["book"])
        session.permanent = True
        session.login("ann")
    store.pop_calls()
    return visitor


def test_the_session_is_listed_under_its_new_owner_only(ann: Visitor, owners: MemoryStore) -> None:
    """So that to end all sessions of Ann does not end Bob's."""
    with ann.request() as session:
        session.login("bob")
        id = session.id
    assert list(owners.keys_of("ann")) == []
    assert list(owners.keys_of("bob")) == [id]


def test_a_session_that_belongs_to_nobody_any_more_is_not_listed(
    ann: Visitor, owners: MemoryStore
) -> None:
    """Cleared, and then used for something else."""
    with ann.request() as session:
        session.clear()
        session["message"] = "goodbye"
    assert list(owners.keys_of("ann")) == []
    assert ann.read() == {"message": "goodbye"}


def test_it_costs_what_any_login_costs(
    ann: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    clock.advance(1)
    for owner in ("ann", "bob"):
        with ann.request() as session:
            session.login(owner)
        assert store.pop_calls() == ["load", "save_owned"]


def test_the_data_of_the_former_owner_is_gone(ann: Visitor) -> None:
    """Seen or not, changed in place or not; what this request has put is for the new owner."""
    with ann.request() as session:
        session["cart"].append("pen")
        session["note"] = "before"
        session.login("bob")
        assert session.copy() == {"note": "before"}
        session["cart"] = ["tea"]
    assert ann.read() == {"note": "before", "cart": ["tea"]}
    assert ann.open().owner == "bob"
    assert not ann.open().permanent


def test_the_data_of_the_same_owner_stays(ann: Visitor) -> None:
    """As does that of a session that was nobody's: a cart is filled before the login."""
    with ann.request() as session:
        session.login("ann")
    assert ann.read() == {"address": "Ann's", "cart": ["book"]}
    assert ann.open().permanent


def test_what_the_login_page_says_of_permanent_holds(ann: Visitor) -> None:
    """Before the login or after it."""
    with ann.request() as session:
        session.permanent = True
        session.login("bob")
    assert ann.open().permanent
    with ann.request() as session:
        session.login("cid")
        session.permanent = True
    assert ann.open().permanent


def test_two_logins_in_one_request(visitor: Visitor, owners: MemoryStore) -> None:
    """The second is of another user; what the request has put is nobody's of before."""
    with visitor.request() as session:
        session.login("ann")
        session["address"] = "Ann's"
        session.login("bob")
    assert visitor.read() == {"address": "Ann's"}
    assert visitor.open().owner == "bob"
    assert list(owners.keys_of("ann")) == []


def test_a_request_in_flight_does_not_disturb_the_login(
    ann: Visitor, manager: SessionManager
) -> None:
    """It changes nothing, sees nothing of Bob, and leaves his cookie alone."""
    running, late = ann.twin(), ann.twin()
    session = running.open()
    session["address"] = session["address"] + "!"
    with ann.request() as at_login:
        at_login.login("bob")
        at_login["address"] = "Bob's"
    assert running.respond(session) is None
    with late.request() as session:
        assert session.copy() == {}
        session["x"] = 1
    assert late.set_cookie is None
    assert ann.read() == {"address": "Bob's"}


def test_a_login_that_failed_is_no_logout(
    ann: Visitor, owners: MemoryStore, store: RecordingStore, manager: SessionManager
) -> None:
    """Ann is still there, with all that is hers; the cookie is not expired."""
    session = ann.open()
    session.login("bob")
    store.failing = {"save_owned"}
    with pytest.raises(StoreUnavailable):
        ann.respond(session)
    assert "Set-Cookie" not in dict(manager.unavailable(session).headers)
    store.failing = set()
    assert ann.open().owner == "ann"
    assert ann.read() == {"address": "Ann's", "cart": ["book"]}
    assert owners.keys_of("ann") == [ann.open().id]
    assert owners.keys_of("bob") == []


@pytest.mark.parametrize("leave", [lambda s: s.login("bob"), Session.clear, Session.invalidate])
def test_who_leaves_is_not_listed_any_more(
    ann: Visitor, owners: MemoryStore, leave: Callable[[Session], None]
) -> None:
    with ann.request() as session:
        leave(session)
    assert owners.keys_of("ann") == []


def test_a_store_without_an_index(clock: ManualClock) -> None:
    """There is nothing to take the session out of."""
    store: Any = RecordingStore(MemoryStore(clock=clock))
    visitor = Visitor(warm(SessionManager(store, secret="x" * 16, clock=clock)))
    store.pop_calls()
    for owner in ("ann", "bob"):
        with visitor.request() as session:
            session.login(owner)
    assert store.pop_calls() == ["save", "load", "save"]
