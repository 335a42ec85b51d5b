"""Session keys: what opens a session where no cookie can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import ConfigurationError, CookieStore, MemoryStore, SessionManager
from wsgi_sessions.testing import ManualClock


def filled(visitor: Visitor) -> str:
    """The key of the visitor's session."""
    with visitor.request() as session:
        session["cart"] = 1
    key = visitor.manager.key_of(visitor.open())
    assert key is not None
    return key


def test_a_session_has_a_key_once_it_is_stored(visitor: Visitor) -> None:
    with visitor.request() as session:
        session["cart"] = 1
        before = visitor.manager.key_of(session)

    assert (before, len(visitor.manager.key_of(visitor.open()) or "")) == (None, 40)


def test_one_that_create_or_regenerate_will_store_has_the_key_of_then(visitor: Visitor) -> None:
    with visitor.request() as session:
        session.create()
        first = visitor.manager.key_of(session)
    with visitor.request() as session:
        session.regenerate()
        second = visitor.manager.key_of(session)

    assert first != second == visitor.manager.key_of(visitor.open())


def test_it_opens_the_session_with_all_rights_of_its_cookie(
    visitor: Visitor, manager: SessionManager
) -> None:
    key = filled(visitor)
    session = manager.open_key(key)
    session.login("ann")
    headers = manager.commit(session)

    assert headers[0][0] == "Set-Cookie"
    assert visitor.read() == {}  # the old cookie is dead
    assert manager.open_key(manager.key_of(session) or "")["cart"] == 1


def test_a_session_that_it_opened_is_renewed_without_a_cookie(
    visitor: Visitor, manager: SessionManager, clock: ManualClock
) -> None:
    key = filled(visitor)
    for _ in range(3):
        clock.advance(80_000)
        session = manager.open_key(key)
        assert session["cart"] == 1
        assert manager.commit(session) == []


def test_a_replaced_key_reads_an_empty_session_whose_changes_are_dropped(
    visitor: Visitor, manager: SessionManager
) -> None:
    key = filled(visitor)
    with visitor.request() as session:
        session.regenerate()

    late = manager.open_key(key)
    late["lost"] = 1
    assert manager.commit(late) == []

    assert (late.superseded, visitor.read()) == (True, {"cart": 1})


def test_opening_costs_nothing_and_looking_one_load(
    visitor: Visitor, manager: SessionManager, store: RecordingStore
) -> None:
    key = filled(visitor)
    store.pop_calls()

    session = manager.open_key(key)
    opened = store.pop_calls()
    assert session["cart"] == 1

    assert (opened, store.pop_calls()) == ([], ["load"])


@given(st.text(max_size=60) | st.text("ABCDabcd0123-_", min_size=40, max_size=40))
def test_whatever_is_no_key_of_ours_opens_an_empty_session_and_costs_nothing(key: str) -> None:
    store = RecordingStore()
    manager = warm(SessionManager(store, secret="the signing secret of the tests"))
    store.pop_calls()

    assert dict(manager.open_key(key)) == {}
    assert store.pop_calls() == []


def test_a_rotation_keeps_keys_until_the_old_signing_key_is_dropped(
    visitor: Visitor, store: RecordingStore, clock: ManualClock
) -> None:
    key = filled(visitor)
    old = "the signing secret of the tests"
    rotated = SessionManager(store, secret="new" * 8, fallback_secrets=[old], clock=clock)
    dropped = SessionManager(store, secret="new" * 8, clock=clock)

    assert rotated.key_of(rotated.open_key(key)) == key
    assert dict(dropped.open_key(key)) == {}


def test_the_claimed_key_is_known_without_a_load(
    visitor: Visitor, manager: SessionManager, store: RecordingStore
) -> None:
    key = filled(visitor)
    store.pop_calls()

    by_cookie, by_key = manager.open(visitor.header), manager.open_key(key)
    claims = [manager.claimed_key(one) for one in (by_cookie, by_key, manager.open("sid=x"))]

    assert (claims, store.pop_calls()) == ([key, key, None], [])


@pytest.mark.parametrize(
    "manager",
    [SessionManager(MemoryStore()), SessionManager(CookieStore(), secret="x" * 32)],
    ids=["no secret", "CookieStore"],
)
def test_what_cannot_make_keys_says_so(manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="session keys need"):
        manager.open_key("A" * 40)


@pytest.mark.parametrize(
    ("header", "needed"), [("", False), ("csrftoken=x", False), ("a=b; sid=x", True)]
)
def test_whether_a_look_would_call_the_store_is_known_before(
    manager: SessionManager, header: str, needed: bool
) -> None:
    session = manager.open(header)

    assert manager.needs_load(session) is needed
    bool(session)
    assert not manager.needs_load(session)
