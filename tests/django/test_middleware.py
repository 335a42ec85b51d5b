"""A request through Django: what is stored, which headers go out, what it costs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from tests.django.project import AUTHENTICATION, MESSAGES, OURS, answer, streamed
from tests.support.recording import RecordingStore
from wsgi_sessions import Session, SessionManager
from wsgi_sessions.django import SessionStore
from wsgi_sessions.testing import ManualClock


def put(**values: Any) -> None:
    answer(lambda request: request.session.update(values))


def read(client: Client) -> str:
    """All that is in the session now."""
    answer(lambda request: dict(request.session.items()))
    return client.get("/").content.decode()


def visited(client: Client, store: RecordingStore, **values: Any) -> None:
    """The client has a session with *values*; what that took is forgotten."""
    put(**(values or {"visits": 1}))
    client.get("/")
    store.pop_calls()


@pytest.mark.parametrize("has_cookie", [False, True])
def test_an_untouched_request_sends_no_header_and_calls_no_store(
    client: Client, store: RecordingStore, has_cookie: bool
) -> None:
    if has_cookie:
        visited(client, store)
    answer(lambda request: HttpResponse("plain"))

    response = client.get("/")

    assert store.pop_calls() == []
    assert not {"Vary", "Cache-Control", "Set-Cookie"} & set(response.headers)
    assert not response.cookies


def test_reading_costs_one_load_and_writing_one_save_more(
    client: Client, store: RecordingStore
) -> None:
    visited(client, store)

    answer(lambda request: request.session["visits"])
    client.get("/")
    reading = store.pop_calls()
    answer(lambda request: request.session.update({"visits": request.session["visits"] + 1}))
    client.get("/")

    assert (reading, store.pop_calls()) == (["load"], ["load", "save"])


def test_a_session_comes_back_and_its_response_is_for_nobody_else(client: Client) -> None:
    put(cart=[1, 2])

    response = client.get("/")

    cookie = response.cookies["sessionid"]
    assert (response["Vary"], response["Cache-Control"]) == ("Cookie", "no-store")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == 1209600
    assert read(client) == "{'cart': [1, 2]}"


def test_a_response_that_read_the_session_is_private(client: Client, store: RecordingStore) -> None:
    visited(client, store)
    answer(lambda request: request.session["visits"])

    response = client.get("/")

    assert (response["Vary"], response["Cache-Control"]) == ("Cookie", "private")


def test_a_change_inside_a_value_is_noticed(client: Client, store: RecordingStore) -> None:
    visited(client, store, cart={"items": []})
    answer(lambda request: request.session["cart"]["items"].append(7))

    client.get("/")

    assert read(client) == "{'cart': {'items': [7]}}"


def test_modified_false_saves_nothing_of_the_request(client: Client, store: RecordingStore) -> None:
    """As Wagtail's logout has it; what is changed afterwards is saved with all that was before."""
    visited(client, store, cart=[])

    def change(request: HttpRequest, *, again: bool) -> None:
        request.session["lost"] = 1
        request.session["cart"].append(1)
        request.session.modified = False
        if again:
            request.session["kept"] = 1

    answer(lambda request: change(request, again=False))
    client.get("/")
    first = read(client)
    answer(lambda request: change(request, again=True))
    client.get("/")

    assert (first, read(client)) == ("{'cart': []}", "{'cart': [1], 'lost': 1, 'kept': 1}")


def test_overlapping_requests_that_change_different_keys_both_survive(
    client: Client, store: RecordingStore
) -> None:
    visited(client, store, first=0, second=0)
    twin = Client()
    twin.cookies = client.cookies

    def second(request: HttpRequest) -> None:
        request.session["second"] = 1

    def first(request: HttpRequest) -> None:
        request.session["first"] = 1
        answer(second)
        twin.get("/")

    answer(first)
    client.get("/")

    assert read(client) == "{'first': 1, 'second': 1}"


@pytest.mark.parametrize("status", [500, 503])
def test_a_response_of_5xx_saves_nothing(
    client: Client, store: RecordingStore, status: int
) -> None:
    visited(client, store, kept=1)

    def fail(request: HttpRequest) -> HttpResponse:
        request.session["lost"] = 1
        return HttpResponse(status=status)

    answer(fail)
    response = client.get("/")

    assert (store.pop_calls(), response.status_code) == (["load"], status)
    assert read(client) == "{'kept': 1}"


def test_a_view_that_raises_saves_nothing(client: Client, store: RecordingStore) -> None:
    visited(client, store, kept=1)

    def fail(request: HttpRequest) -> None:
        request.session["lost"] = 1
        raise ValueError("a bug")

    answer(fail)
    client.raise_request_exception = False

    assert client.get("/").status_code == 500
    assert read(client) == "{'kept': 1}"


def test_what_save_has_stored_before_a_5xx_stays(client: Client, store: RecordingStore) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        request.session["kept"] = 1
        request.session.save()
        request.session["lost"] = 1
        return HttpResponse(status=500)

    answer(fail)
    client.get("/")

    assert read(client) == "{'kept': 1}"


def test_a_session_that_a_view_has_put_in_its_place_is_saved_and_the_cookie_is_of_the_first(
    client: Client, store: RecordingStore
) -> None:
    visited(client, store, mine=1)
    keys = []

    def replace(request: HttpRequest) -> None:
        request.session["mine"] = 2
        request.session = SessionStore()
        request.session["others"] = 1
        keys.append(request.session)

    answer(replace)
    client.get("/")

    assert read(client) == "{'mine': 2}"
    assert SessionStore(keys[0].session_key).load() == {"others": 1}


def test_the_key_of_the_requests_own_session_opens_that_session_itself(
    client: Client, store: RecordingStore
) -> None:
    """As allauth reopens it before it logs in, so that the new cookie is of that login."""
    visited(client, store, mine=1)

    def reopen(request: HttpRequest) -> None:
        request.session["saved"] = 1
        request.session.save()
        request.session = request.session.__class__(request.session.session_key)
        request.session.cycle_key()
        request.session["more"] = 1

    answer(reopen)
    response = client.get("/")

    assert "sessionid" in response.cookies
    assert read(client) == "{'mine': 1, 'saved': 1, 'more': 1}"


def test_a_stream_may_change_the_session_until_it_ends(
    client: Client, store: RecordingStore
) -> None:
    visited(client, store, sent=0)

    def stream(request: HttpRequest) -> Any:
        def chunks() -> Iterator[bytes]:
            yield b"one"
            request.session["sent"] = 1

        return streamed(chunks())

    answer(stream)
    response = client.get("/")
    assert b"".join(response.streaming_content) == b"one"
    response.close()

    assert (response["Vary"], response["Cache-Control"]) == ("Cookie", "private")
    assert read(client) == "{'sent': 1}"


class ChangesLate:
    """A middleware that changes the session after it was committed."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        request.session["late"] = 1
        return response


@override_settings(MIDDLEWARE=[f"{__name__}.ChangesLate", OURS])
def test_what_a_middleware_changes_after_the_commit_is_saved(
    client: Client, store: RecordingStore
) -> None:
    def begin(request: HttpRequest) -> None:
        request.session["begun"] = 1

    answer(begin)
    client.get("/").close()

    with override_settings(MIDDLEWARE=[OURS]):
        assert read(sharing_cookies(client)) == "{'begun': 1, 'late': 1}"


def sharing_cookies(client: Client) -> Client:
    """Another client with the same cookies, which loads the middleware of now."""
    other = Client()
    other.cookies = client.cookies
    return other


def test_a_response_can_be_kept_in_a_cache(client: Client, store: RecordingStore) -> None:
    """Django's cache pickles it, by a middleware that stands before."""
    kept = []

    class Keeps:
        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: HttpRequest) -> Any:
            response = self.get_response(request)
            kept.append(pickle.dumps(response))
            return response

    globals()["Keeps"] = Keeps
    answer(lambda request: HttpResponse("plain"))
    with override_settings(MIDDLEWARE=[f"{__name__}.Keeps", OURS]):
        Client().get("/")

    copy = pickle.loads(kept[0])
    copy.close()
    assert copy.content == b"plain"


@override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None")
def test_a_partitioned_cookie_says_so_on_every_python(client: Client, clock: ManualClock) -> None:
    options = {"clock": clock, "cookie_partitioned": True}
    put(x=1)
    with override_settings(WSGI_SESSIONS=options):
        response = client.get("/", secure=True)

    line = response.cookies["sessionid"].OutputString()
    assert "; SameSite=None; Partitioned" in line
    assert "; Secure" in line


def test_a_cookie_that_a_middleware_before_has_put_counts(
    client: Client, store: RecordingStore
) -> None:
    """As those do that take the session from another header."""
    visited(client, store, mine=1)
    value = client.cookies["sessionid"].value

    class FromHeader:
        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: HttpRequest) -> Any:
            request.COOKIES["sessionid"] = request.META["HTTP_X_SESSION"]
            return self.get_response(request)

    globals()["FromHeader"] = FromHeader
    with override_settings(MIDDLEWARE=[f"{__name__}.FromHeader", OURS]):
        answer(lambda request: request.session["mine"])
        assert Client(headers={"x-session": value}).get("/").content == b"1"


def test_messages_of_the_session_storage_arrive_once(client: Client) -> None:
    storage = "django.contrib.messages.storage.session.SessionStorage"
    with override_settings(MESSAGE_STORAGE=storage):
        answer(lambda request: messages.success(request, "done"))
        client.get("/")
        answer(lambda request: [str(one) for one in messages.get_messages(request)])

        assert [client.get("/").content for _ in range(2)] == [b"['done']", b"[]"]


# -- a store that fails


def test_a_store_that_fails_in_a_view_is_a_503(client: Client, store: RecordingStore) -> None:
    visited(client, store)
    store.failing = {"load"}
    answer(lambda request: request.session["visits"])

    response = client.get("/")

    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert (response["Cache-Control"], response.content) == ("no-store", b"Service Unavailable\n")
    assert not response.cookies


def test_a_store_that_fails_at_the_commit_is_a_503(client: Client, store: RecordingStore) -> None:
    visited(client, store)
    store.failing = {"save"}
    put(visits=2)

    response = client.get("/")

    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert client.head("/").content == b""


class LooksAtIt:
    """A middleware that needs the session."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        bool(request.session.get("visits"))
        return self.get_response(request)


@override_settings(MIDDLEWARE=[OURS, f"{__name__}.LooksAtIt"])
def test_a_store_that_fails_in_another_middleware_is_a_503(
    client: Client, store: RecordingStore
) -> None:
    visited(client, store)
    store.failing = {"load"}
    client.raise_request_exception = False

    response = client.get("/")

    assert (response.status_code, response["Retry-After"]) == (503, "1")


class OwnHandler:
    """A URL configuration with a ``handler500``."""

    @staticmethod
    def handler500(request: HttpRequest) -> HttpResponse:
        return HttpResponse("our own page", status=500)

    @staticmethod
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.session["visits"])

    urlpatterns = [path("", view.__func__)]  # type: ignore[attr-defined]


def test_a_handler500_of_the_project_comes_first(
    client: Client, store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited(client, store)
    store.failing = {"load"}
    client.raise_request_exception = False
    with override_settings(ROOT_URLCONF=OwnHandler):
        response = client.get("/")

    assert (response.status_code, response.content) == (500, b"our own page")


def test_a_bug_of_the_applications_is_no_outage(client: Client, store: RecordingStore) -> None:
    """A value that cannot be stored is raised on the guilty line."""
    answer(lambda request: request.session.update({"bad": object()}))

    with pytest.raises(TypeError, match="bad: "):
        client.get("/")


# -- what the view sees


def test_the_session_of_this_library_is_at_hand(client: Client, manager: SessionManager) -> None:
    def look(request: HttpRequest) -> Any:
        session = request.session.session
        assert session is request.META["wsgi.session"]
        assert isinstance(session, Session)
        return session.increment("visits")

    answer(look)

    assert [client.get("/").content for _ in range(2)] == [b"1", b"2"]


def test_django_finds_its_own_middleware_and_session_in_ours() -> None:
    from django.contrib.sessions.backends.base import SessionBase
    from django.contrib.sessions.middleware import SessionMiddleware as Djangos

    from wsgi_sessions.django import SessionMiddleware

    assert issubclass(SessionMiddleware, Djangos)
    assert issubclass(SessionStore, SessionBase)


def test_authentication_and_messages_are_content(client: Client) -> None:
    with override_settings(MIDDLEWARE=[OURS, AUTHENTICATION, MESSAGES]):
        answer(lambda request: request.user.is_authenticated)

        assert Client().get("/").content == b"False"
