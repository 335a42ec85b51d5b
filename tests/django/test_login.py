"""``django.contrib.auth`` over our sessions: logins, logouts, and what overlaps with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from tests.django.project import answer
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionManager
from wsgi_sessions.django import SessionStore
from wsgi_sessions.django.configuration import LOGIN_KEYS
from wsgi_sessions.testing import ManualClock


def log_in(client: Client, user: User) -> None:
    answer(lambda request: login(request, user))
    client.get("/")


def who(client: Client) -> str:
    answer(lambda request: str(request.user))
    return client.get("/").content.decode()


def twin_of(client: Client) -> Client:
    """The same browser as it is now, for a request at the same time."""
    twin = Client()
    twin.cookies.load(client.cookies.output(header=""))
    return twin


def test_the_login_key_is_the_one_of_django() -> None:
    assert LOGIN_KEYS == (SESSION_KEY,)


def test_a_login_is_one_save_with_a_new_cookie_and_keeps_the_visitors_data(
    client: Client, store: RecordingStore, user: User
) -> None:
    answer(lambda request: request.session.update({"cart": [1]}))
    client.get("/")
    before = twin_of(client)
    store.pop_calls()

    log_in(client, user)

    assert store.pop_calls() == ["load", "save_owned"]
    assert (who(client), who(before)) == ("'ann'", "'AnonymousUser'")
    answer(lambda request: request.session["cart"])
    assert client.get("/").content == b"[1]"


def test_the_user_is_the_owner_of_the_session(
    client: Client, manager: SessionManager, clock: ManualClock, user: User
) -> None:
    log_in(client, user)
    clock.advance(1)
    other = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"})
    log_in(other, user)

    devices = manager.sessions_of(str(user.pk))

    assert [device.device for device in devices] == [None, "Firefox on Linux"]
    assert manager.revoke_all(str(user.pk), keep=devices[0].id) == 1
    assert (who(client), who(other)) == ("'ann'", "'AnonymousUser'")


def test_a_logout_ends_the_session_at_once_and_expires_the_cookie(
    client: Client, store: RecordingStore, user: User
) -> None:
    log_in(client, user)
    thief = twin_of(client)
    ended = []

    def leave(request: HttpRequest) -> None:
        logout(request)
        ended.append(who(thief))

    answer(leave)
    response = client.get("/")

    assert ended == ["'AnonymousUser'"]
    assert response.cookies["sessionid"]["max-age"] == 0
    assert who(client) == "'AnonymousUser'"


def test_a_logout_survives_a_view_that_raises_after_it(client: Client, user: User) -> None:
    log_in(client, user)
    thief = twin_of(client)

    def leave(request: HttpRequest) -> None:
        logout(request)
        raise ValueError("a bug")

    answer(leave)
    client.raise_request_exception = False
    response = client.get("/")

    assert response.cookies["sessionid"]["max-age"] == 0
    assert who(thief) == "'AnonymousUser'"


def test_another_user_in_the_same_browser_finds_nothing_of_the_first(
    client: Client, user: User, other_user: User
) -> None:
    log_in(client, user)
    answer(lambda request: request.session.update({"diary": "of ann"}))
    client.get("/")

    log_in(client, other_user)

    assert who(client) == "'bob'"
    answer(lambda request: "diary" in request.session)
    assert client.get("/").content == b"False"


def test_the_same_user_again_changes_neither_key_nor_data(client: Client, user: User) -> None:
    log_in(client, user)
    key = client.session.session_key

    log_in(client, user)

    assert client.session.session_key == key


def test_a_new_password_gives_this_device_a_new_cookie_and_logs_out_the_others(
    client: Client, user: User
) -> None:
    log_in(client, user)
    thief = twin_of(client)
    other = Client()
    log_in(other, user)

    def change(request: HttpRequest) -> None:
        assert request.user == user
        user.set_password("another")
        user.save()
        update_session_auth_hash(request, user)

    answer(change)
    client.get("/")

    assert who(client) == "'ann'"
    assert who(thief) == "'AnonymousUser'"
    assert who(other) == "'AnonymousUser'"


def test_a_request_that_a_login_has_superseded_is_answered_as_it_is(
    client: Client, user: User
) -> None:
    """Django answers it by 400. Nothing of it is saved, and it keeps its hands off the cookie."""
    answer(lambda request: request.session.update({"cart": [1]}))
    client.get("/")
    twin = twin_of(client)

    def slow(request: HttpRequest) -> str:
        request.session["lost"] = 1
        log_in(client, user)
        return "as it is"

    answer(slow)
    response = twin.get("/")

    assert (response.status_code, response.content) == (200, b"'as it is'")
    assert not response.cookies
    answer(lambda request: sorted(request.session.keys()))
    assert b"lost" not in client.get("/").content
    assert who(client) == "'ann'"


def test_a_request_in_flight_does_not_bring_back_a_session_that_was_logged_out(
    client: Client, user: User
) -> None:
    log_in(client, user)
    twin = twin_of(client)

    def slow(request: HttpRequest) -> None:
        request.session["revived"] = 1
        answer(logout)
        client.get("/")

    answer(slow)
    response = twin.get("/")

    assert (response.status_code, dict(response.cookies)) == (200, {})
    assert who(twin) == "'AnonymousUser'"


def test_of_two_logins_at_once_both_answers_are_logged_in(
    client: Client, user: User, other_user: User
) -> None:
    answer(lambda request: request.session.update({"cart": [1]}))
    client.get("/")
    twin = twin_of(client)

    def slow(request: HttpRequest) -> None:
        request.session["cart"]
        log_in(twin, other_user)
        login(request, user)

    answer(slow)
    client.get("/")

    assert (who(client), who(twin)) == ("'ann'", "'bob'")


def test_a_logout_that_the_store_refuses_expires_the_cookie(
    client: Client, store: RecordingStore, user: User
) -> None:
    """Django's logout looks at the user first, which fails before anything is ended."""
    log_in(client, user)
    answer(logout)
    store.failing = {"load", "delete"}

    response = client.get("/")

    assert response.status_code == 503
    assert response.cookies["sessionid"]["max-age"] == 0


def test_a_session_emptied_by_clear_is_nobodys(client: Client, user: User) -> None:
    log_in(client, user)
    thief = twin_of(client)
    answer(lambda request: request.session.clear())

    response = client.get("/")

    assert response.cookies["sessionid"]["max-age"] == 0
    assert (who(client), who(thief)) == ("'AnonymousUser'", "'AnonymousUser'")


def test_the_key_that_a_login_signal_sees_opens_the_session_that_was_saved(
    client: Client, user: User
) -> None:
    """Applications keep it in a column of theirs."""
    seen: list[Any] = []

    def note(request: HttpRequest) -> None:
        login(request, user)
        seen.append(request.session.session_key)

    answer(note)
    client.get("/")

    assert SessionStore(seen[0])[SESSION_KEY] == str(user.pk)


@pytest.mark.parametrize("again", [False, True])
def test_force_login_and_logout_of_the_test_client(client: Client, user: User, again: bool) -> None:
    if again:
        log_in(client, user)
    client.force_login(user)
    assert who(client) == "'ann'"

    client.logout()

    assert who(client) == "'AnonymousUser'"


def test_login_of_the_test_client(client: Client, user: User) -> None:
    assert client.login(username="ann", password="secret")
    assert who(client) == "'ann'"
