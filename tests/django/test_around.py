"""Our WSGI middleware around Django, and Django's own middleware over our engine."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from webtest import TestApp

from tests.django.project import AUTHENTICATION, answer
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionManager, SessionMiddleware
from wsgi_sessions.testing import ManualClock

DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"


# -- ours around Django


@pytest.fixture
def around(store: RecordingStore, clock: ManualClock, manager: SessionManager) -> TestApp:
    """A site of which Django answers at ``/``, and a plain application at ``/plain``."""
    django = WSGIHandler()

    def site(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/plain":
            return django(environ, start_response)
        session = environ["wsgi.session"]
        session["plain"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(sorted(session)).encode(), repr(session.owner).encode()]

    return TestApp(SessionMiddleware(site, store, secret="x" * 32, clock=clock))


def test_both_have_one_session(around: TestApp) -> None:
    answer(lambda request: request.session.update({"django": 1}))
    around.get("/")

    assert around.get("/plain").text == "['django', 'plain']None"
    answer(lambda request: sorted(request.session.keys()))
    assert around.get("/").text == "['django', 'plain']"


def test_the_one_around_commits(around: TestApp, store: RecordingStore) -> None:
    around.get("/plain")
    store.pop_calls()
    answer(lambda request: request.session.update({"django": 1}))

    response = around.get("/")

    assert store.pop_calls() == ["load", "save"]
    assert (response.headers["Vary"], response.headers["Cache-Control"]) == ("Cookie", "private")


def test_a_login_of_django_is_that_of_all(around: TestApp, user: User) -> None:
    around.get("/plain")
    before = around.cookies["sid"]
    answer(lambda request: login(request, user))
    around.get("/")

    assert around.cookies["sid"] != before
    assert around.get("/plain").text.endswith(f"'{user.pk}'")


def test_a_5xx_of_django_saves_nothing_there_either(around: TestApp) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        request.session["lost"] = 1
        return HttpResponse(status=500)

    answer(fail)
    around.get("/", status=500)

    assert around.get("/plain").text == "['plain']None"


def test_a_store_that_fails_in_django_is_a_503(around: TestApp, store: RecordingStore) -> None:
    around.get("/plain")
    store.failing = {"load"}
    answer(lambda request: request.session["plain"])

    response = around.get("/", status=503)

    assert (response.headers["Retry-After"], response.text) == ("1", "Service Unavailable\n")


def test_an_untouched_request_stays_untouched(around: TestApp, store: RecordingStore) -> None:
    """Of known length, as Django's ``CommonMiddleware`` makes all that do not stream."""
    around.get("/plain")
    store.pop_calls()
    answer(lambda request: HttpResponse("plain", headers={"Content-Length": "5"}))

    response = around.get("/")

    assert store.pop_calls() == []
    assert not {"Vary", "Cache-Control", "Set-Cookie"} & set(response.headers)


# -- Django's middleware over our engine: the lesser way


@pytest.fixture
def lesser(manager: SessionManager) -> Any:
    with override_settings(MIDDLEWARE=[DJANGOS, AUTHENTICATION]):
        yield Client()


def test_with_the_engine_alone_a_login_works_and_a_logout_ends_the_session(
    lesser: Client, user: User
) -> None:
    answer(lambda request: login(request, user))
    lesser.get("/")
    thief = Client()
    thief.cookies["sessionid"] = lesser.cookies["sessionid"].value
    answer(lambda request: str(request.user))
    logged_in = (lesser.get("/").content, thief.get("/").content)

    answer(lambda request: request.session.flush())
    lesser.get("/")

    answer(lambda request: str(request.user))
    assert logged_in == (b"'ann'", b"'ann'")
    assert (lesser.get("/").content, thief.get("/").content) == (b"'AnonymousUser'",) * 2


def test_with_the_engine_alone_an_untouched_request_calls_no_store(
    lesser: Client, store: RecordingStore
) -> None:
    answer(lambda request: request.session.update({"x": 1}))
    lesser.get("/")
    store.pop_calls()
    answer(lambda request: HttpResponse("plain"))

    response = lesser.get("/")

    assert (store.pop_calls(), dict(response.cookies)) == ([], {})


def test_with_the_engine_alone_a_change_inside_a_value_is_noticed(lesser: Client) -> None:
    answer(lambda request: request.session.update({"cart": []}))
    lesser.get("/")
    answer(lambda request: request.session["cart"].append(1))
    lesser.get("/")
    answer(lambda request: request.session["cart"])

    assert lesser.get("/").content == b"[1]"


def test_with_the_engine_alone_no_unknown_cookie_is_adopted(
    lesser: Client, store: RecordingStore
) -> None:
    lesser.cookies["sessionid"] = "A" * 40
    answer(lambda request: request.session.update({"x": 1}))

    response = lesser.get("/")

    assert response.cookies["sessionid"].value != "A" * 40


def test_with_the_engine_alone_a_superseded_request_leaves_the_new_cookie_alone(
    lesser: Client, user: User
) -> None:
    answer(lambda request: request.session.update({"x": 1}))
    lesser.get("/")
    twin = Client()
    twin.cookies["sessionid"] = lesser.cookies["sessionid"].value
    answer(lambda request: login(request, user))
    lesser.get("/")
    answer(lambda request: request.session.get("x"))

    response = twin.get("/")

    assert (response.content, dict(response.cookies)) == (b"None", {})
