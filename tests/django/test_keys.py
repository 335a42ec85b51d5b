"""``session_key``: what it opens, and what it never is."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

import pytest
from django.http import HttpRequest
from django.test import Client, override_settings

from tests.django.project import SECRET, answer
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionManager
from wsgi_sessions.django import SessionStore
from wsgi_sessions.testing import ManualClock


def begin(client: Client) -> str:
    """The key of a new session of *client*'s."""
    answer(lambda request: request.session.update({"mine": 1}))
    client.get("/")
    key = client.session.session_key
    assert key is not None
    return str(key)


def read(client: Client) -> str:
    answer(lambda request: dict(request.session.items()))
    return client.get("/").content.decode()


def test_it_has_forty_characters_and_opens_the_session(client: Client) -> None:
    key = begin(client)

    store = SessionStore(key)
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", key)
    assert (store["mine"], store.session_key, store.exists(key)) == (1, key, True)


def test_the_value_of_the_cookie_opens_it_too(client: Client) -> None:
    key = begin(client)

    assert SessionStore(client.cookies["sessionid"].value).session_key == key


def test_what_is_saved_by_it_is_read_by_the_request(client: Client) -> None:
    store = SessionStore(begin(client))
    store["mine"] = 2
    store.save()

    assert read(client) == "{'mine': 2}"


def test_it_is_none_until_the_session_is_saved(manager: SessionManager) -> None:
    store = SessionStore()
    store["mine"] = 1
    before = store.session_key
    store.save()

    assert (before, len(store.session_key or "")) == (None, 40)


def test_it_is_no_cookie(client: Client) -> None:
    """Whoever reads it in a table or a log of another application has no session by it."""
    key = begin(client)
    thief = Client()
    thief.cookies["sessionid"] = key

    assert read(thief) == "{}"


def test_nor_is_that_of_a_store_without_a_request_outside_of_tests(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test client has the one exception, and a request from elsewhere never."""
    from django.core.handlers.wsgi import WSGIHandler

    store = SessionStore()
    store["mine"] = 1
    store.save()
    answer(lambda request: dict(request.session.items()))
    tester = Client()
    tester.cookies["sessionid"] = str(store.session_key)
    environ = tester._base_environ(PATH_INFO="/", HTTP_COOKIE=f"sessionid={store.session_key}")

    from_outside = b"".join(WSGIHandler()(environ, lambda *_: None))

    assert (tester.get("/").content, from_outside) == (b"{'mine': 1}", b"{}")


def test_it_changes_with_cycle_key_and_the_old_one_opens_nothing(client: Client) -> None:
    old = begin(client)
    answer(lambda request: request.session.cycle_key())
    client.get("/")

    new = client.session.session_key
    assert new != old
    assert (SessionStore().exists(old), SessionStore(new)["mine"]) == (False, 1)


def test_flush_ends_what_it_opens(client: Client) -> None:
    key = begin(client)
    SessionStore(key).flush()

    assert (SessionStore().exists(key), read(client)) == (False, "{}")


def test_delete_takes_the_key_of_another_session(client: Client) -> None:
    key = begin(client)
    SessionStore().delete(key)

    assert read(client) == "{}"


@pytest.mark.parametrize("position", [0, 5, 21, 22, 25, 26, 27, 30, 39])
def test_a_key_that_was_changed_anywhere_opens_nothing(client: Client, position: int) -> None:
    key = begin(client)
    other = "A" if key[position] != "A" else "B"
    changed = key[:position] + other + key[position + 1 :]

    assert not SessionStore().exists(changed)


def test_a_forged_key_calls_no_store(client: Client, store: RecordingStore) -> None:
    key = begin(client)
    store.pop_calls()
    forged = ["A" * 40, key[:21] + "A" * 19, key[:-1], key + "A", "ä" * 40, "x" * 100_000]

    assert [SessionStore().exists(one) for one in forged] == [False] * len(forged)
    assert store.pop_calls() == []


def test_our_id_alone_opens_nothing(client: Client, manager: SessionManager) -> None:
    begin(client)
    answer(lambda request: request.session.session.id)
    id = client.get("/").content.decode().strip("'")

    assert not SessionStore().exists(id)


def test_it_cannot_be_made_from_a_log_or_a_store(client: Client, store: RecordingStore) -> None:
    """All that a key holds besides the id is in neither."""
    key = begin(client)
    answer(lambda request: request.session.session.id)
    id = client.get("/").content.decode().strip("'")

    stored = store.inner.load(id)
    assert stored is not None
    rest = urlsafe_b64decode(key)[16:]
    assert rest[:4] not in stored.data
    assert rest[4:] not in stored.data


def test_a_new_secret_key_changes_no_session_key_until_the_old_one_is_dropped(
    client: Client, manager: SessionManager
) -> None:
    key = begin(client)

    with override_settings(SECRET_KEY="the next secret key", SECRET_KEY_FALLBACKS=[SECRET]):
        assert SessionStore(key).session_key == key
    with override_settings(SECRET_KEY="the next secret key"):
        assert not SessionStore().exists(key)


def test_keys_of_any_fallback_are_accepted(client: Client, manager: SessionManager) -> None:
    key = begin(client)

    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[SECRET, "an older one"]):
        store = SessionStore(key)
        assert store["mine"] == 1
        assert store.session_key != key


def test_a_request_that_is_superseded_has_none(client: Client) -> None:
    old = begin(client)
    answer(lambda request: request.session.cycle_key())
    client.get("/")

    store = SessionStore(old)
    assert (store.session_key, store.session.superseded, dict(store.items())) == (None, True, {})


def test_a_key_of_an_expired_session_opens_nothing(client: Client, clock: ManualClock) -> None:
    key = begin(client)
    clock.advance(15 * 86_400)

    assert not SessionStore().exists(key)


def test_reading_it_in_a_view_needs_no_second_load(client: Client, store: RecordingStore) -> None:
    begin(client)
    store.pop_calls()

    def look(request: HttpRequest) -> str:
        return request.session.session_key or ""

    answer(look)
    key = client.get("/").content.decode().strip("'")

    assert (len(key), store.pop_calls()) == (40, ["load"])


def test_it_stays_what_it_was_when_the_session_is_changed(client: Client) -> None:
    """Carts keep it as a foreign key."""
    key = begin(client)
    answer(lambda request: request.session.update({"more": 1}))
    client.get("/")

    assert client.session.session_key == key
