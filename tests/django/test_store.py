"""``SessionStore`` without a request: Django's contract of a session engine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client

from tests.django.project import answer
from tests.support.recording import RecordingStore
from wsgi_sessions.django import SessionStore
from wsgi_sessions.testing import ManualClock

pytestmark = pytest.mark.usefixtures("manager")


def test_a_new_one_that_nobody_touched_calls_no_store(store: RecordingStore) -> None:
    session = SessionStore()

    assert (session.is_empty(), session.accessed, session.modified) == (True, False, False)
    assert store.pop_calls() == []


def test_save_stores_an_empty_session_too() -> None:
    session = SessionStore()
    session.save()

    assert SessionStore().exists(str(session.session_key))


def test_a_session_that_was_saved_stays_when_it_is_emptied() -> None:
    """Its key may be in a token of another application's."""
    session = SessionStore()
    session["x"] = 1
    session.save()
    again = SessionStore(session.session_key)
    del again["x"]
    again.save()

    assert SessionStore().exists(str(session.session_key))


def test_create_stores_a_new_empty_session_and_ends_the_one_before() -> None:
    session = SessionStore()
    session["x"] = 1
    session.save()
    old = session.session_key

    session.create()

    assert (session.session_key == old, dict(session.items())) == (False, {})
    assert (session.exists(str(old)), session.exists(str(session.session_key))) == (False, True)


def test_must_create_refuses_a_session_that_is_stored() -> None:
    session = SessionStore()
    session.save(must_create=True)

    with pytest.raises(CreateError):
        session.save(must_create=True)


def test_a_session_that_another_has_ended_is_not_brought_back() -> None:
    session = SessionStore()
    session["x"] = 1
    session.save()
    SessionStore(session.session_key).delete()

    session["x"] = 2
    with pytest.raises(UpdateError):
        session.save()

    assert session.load() == {}


def test_two_that_are_open_at_once_lose_nothing() -> None:
    first = SessionStore()
    first["x"] = 1
    first.save()
    second = SessionStore(first.session_key)
    second["y"] = 2
    first["z"] = 3

    first.save()
    second.save()

    assert SessionStore(first.session_key).load() == {"x": 1, "y": 2, "z": 3}


def test_cycle_key_keeps_the_data_at_once() -> None:
    session = SessionStore()
    session["x"] = 1
    session.save()
    old = str(session.session_key)

    session.cycle_key()

    assert (session.exists(old), session.load()) == (False, {"x": 1})
    assert SessionStore(session.session_key).load() == {"x": 1}


def test_a_session_that_reads_only_loads_once_and_saves_nothing(store: RecordingStore) -> None:
    session = SessionStore()
    session["x"] = 1
    session.save()
    store.pop_calls()

    again = SessionStore(session.session_key)
    assert (again["x"], again.get("y"), "x" in again, again.modified) == (1, None, True, False)
    again.save()

    assert store.pop_calls() == ["load"]


def test_clearsessions_purges_what_has_expired(store: RecordingStore, clock: ManualClock) -> None:
    session = SessionStore()
    session["x"] = 1
    session.save()
    id = session.session.id
    clock.advance(timedelta(days=15).total_seconds())
    purged = []
    store.purge = lambda limit=1000: purged.append(limit) or 0  # type: ignore[attr-defined]

    call_command("clearsessions")

    assert purged == [1000]
    assert store.inner.load(id) is None


def test_clearsessions_is_content_with_a_store_that_purges_itself(store: RecordingStore) -> None:
    call_command("clearsessions")

    assert store.pop_calls() == []


def test_the_session_of_the_test_client_is_that_of_the_next_request() -> None:
    client = Client()
    session = client.session
    session["by"] = "the test"
    session.save()
    answer(lambda request: request.session["by"])

    assert client.get("/").content == b"'the test'"


def test_and_shows_what_a_request_has_put() -> None:
    client = Client()
    answer(lambda request: request.session.update({"by": "the view"}))
    client.get("/")

    assert client.session["by"] == "the view"
    session = client.session
    session["by"] = "the test"
    session.save()
    answer(lambda request: request.session["by"])
    assert client.get("/").content == b"'the test'"


def test_the_test_cookie_works() -> None:
    client = Client()
    answer(lambda request: request.session.set_test_cookie())
    client.get("/")

    def worked(request: HttpRequest) -> bool:
        worked: bool = request.session.test_cookie_worked()
        request.session.delete_test_cookie()
        return worked

    answer(worked)
    assert client.get("/").content == b"True"
    assert not client.session.test_cookie_worked()


def test_encode_and_decode_are_those_of_django() -> None:
    session = SessionStore()

    assert session.decode(session.encode({"x": [1]})) == {"x": [1]}
    assert session.decode("nonsense") == {}
