"""How long a session lives, by Django's settings and ``set_expiry()``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from tests.django.project import answer
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionManager
from wsgi_sessions.django import SessionStore
from wsgi_sessions.testing import ManualClock

DAY = 86_400
AGE = 14 * DAY


def begin(client: Client, expiry: Any = "the settings'") -> HttpResponse:
    def view(request: HttpRequest) -> None:
        request.session["mine"] = 1
        if expiry != "the settings'":
            request.session.set_expiry(expiry)

    answer(view)
    response: HttpResponse = client.get("/")
    return response


def is_alive(client: Client) -> bool:
    answer(lambda request: "mine" in request.session)
    return bool(client.get("/").content == b"True")


@pytest.fixture
def now(clock: ManualClock) -> datetime:
    """Of the manual clock."""
    return datetime.fromtimestamp(clock(), UTC)


def test_session_cookie_age_is_the_idle_lifetime_and_use_renews(
    client: Client, clock: ManualClock
) -> None:
    begin(client)
    for _ in range(4):
        clock.advance(AGE - 10)
        assert is_alive(client)

    clock.advance(AGE)

    assert not is_alive(client)


def test_a_session_is_permanent_unless_it_expires_at_browser_close(client: Client) -> None:
    permanent = begin(client).cookies["sessionid"]["max-age"]
    with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=True):
        other = begin(Client()).cookies["sessionid"]["max-age"]

    assert (permanent, other) == (AGE, "")


def test_seconds_are_those_without_use(client: Client, clock: ManualClock) -> None:
    response = begin(client, 900)
    assert response.cookies["sessionid"]["max-age"] == 900
    clock.advance(890)
    assert is_alive(client)
    clock.advance(890)
    assert is_alive(client)

    clock.advance(900)

    assert not is_alive(client)


def test_zero_is_the_end_of_the_browser(client: Client, clock: ManualClock) -> None:
    response = begin(client, 0)

    assert response.cookies["sessionid"]["max-age"] == ""
    session = client.session
    assert (session.get_expire_at_browser_close(), session.get_expiry_age()) == (True, AGE)


@pytest.mark.parametrize("kind", ["datetime", "timedelta", "long"])
def test_a_time_is_the_end_whatever_the_use(
    client: Client, clock: ManualClock, now: datetime, kind: str
) -> None:
    days = 30 if kind == "long" else 2
    expiry = timedelta(days=days) if kind != "datetime" else now + timedelta(days=days)
    response = begin(client, expiry)
    assert response.cookies["sessionid"]["max-age"] == days * DAY
    clock.advance(days * DAY - 10)
    assert is_alive(client)

    clock.advance(10)

    assert not is_alive(client)


def test_none_is_what_the_settings_say(client: Client, clock: ManualClock) -> None:
    for expiry in (900, 0, timedelta(hours=1), None):
        begin(client, expiry)

    session = client.session
    assert (session.get_expiry_age(), session.get_expire_at_browser_close()) == (AGE, False)
    for _ in range(6):
        clock.advance(10 * DAY)
        assert is_alive(client)


@pytest.mark.parametrize("expiry", [-5, timedelta(seconds=-5)])
def test_what_lies_in_the_past_is_over(client: Client, clock: ManualClock, expiry: Any) -> None:
    begin(client, expiry)
    clock.advance(0.001)

    assert not is_alive(client)


def test_more_than_the_absolute_lifetime_is_given_too(client: Client, clock: ManualClock) -> None:
    begin(client, 365 * DAY)
    clock.advance(364 * DAY)

    assert is_alive(client)


def test_the_record_itself_says_so(client: Client, manager: SessionManager) -> None:
    """Another service on the same store judges by it."""
    begin(client, 900)
    with manager.open_id(client.session.session.id) as session:
        assert session is not None
        assert (session.lifetime, session.permanent) == (900, True)


def test_django_reports_a_lifetime_that_another_service_has_set(
    client: Client, manager: SessionManager
) -> None:
    answer(lambda request: setattr(request.session.session, "lifetime", 600))
    begin(client)
    answer(lambda request: setattr(request.session.session, "lifetime", 600))
    client.get("/")

    assert client.session.get_expiry_age() == 600


def test_the_arguments_of_djangos_own_functions(manager: SessionManager) -> None:
    session = SessionStore()
    modification = datetime(2030, 1, 1, tzinfo=UTC)

    assert session.get_expiry_age(expiry=50) == 50
    assert session.get_expiry_date(modification=modification, expiry=50) == modification + (
        timedelta(seconds=50)
    )
    session.set_expiry(70)
    assert session.get_expiry_age() == 70
    assert session.get_expiry_date(modification=modification) == modification + (
        timedelta(seconds=70)
    )


def test_an_expiry_that_was_set_survives_a_new_key(client: Client, clock: ManualClock) -> None:
    begin(client, 900)
    answer(lambda request: request.session.cycle_key())
    client.get("/")

    assert client.session.get_expiry_age() == 900
    clock.advance(900)
    assert not is_alive(client)


@override_settings(SESSION_SAVE_EVERY_REQUEST=True)
def test_save_every_request_renews_at_each_request(
    client: Client, store: RecordingStore, clock: ManualClock
) -> None:
    begin(client)
    store.pop_calls()
    clock.advance(1)
    answer(lambda request: HttpResponse("plain"))

    response = client.get("/")

    assert store.pop_calls() == ["load", "save"]
    assert response.cookies["sessionid"]["max-age"] == AGE
    assert not Client().get("/").cookies
    assert store.pop_calls() == []


def test_it_is_renewed_once_a_day_without_that_setting(
    client: Client, store: RecordingStore, clock: ManualClock
) -> None:
    begin(client)
    store.pop_calls()
    seen = []
    for _ in range(3):
        clock.advance(0.6 * DAY)
        is_alive(client)
        seen.append(store.pop_calls())

    assert seen == [["load"], ["load", "save"], ["load"]]
