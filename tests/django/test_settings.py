"""Settings: what they mean, what is refused, and what the system checks report."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.test import Client, override_settings

from tests.django.project import AUTHENTICATION, OURS, answer
from tests.support.recording import RecordingStore
from wsgi_sessions import ConfigurationError, CookieStore
from wsgi_sessions.django import SessionMiddleware, SessionStore, session_manager

DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"


class OurSubclass(SessionMiddleware):
    pass


def problems() -> list[str]:
    """The ids of what the checks report of us."""
    found = run_checks(tags=[Tags.security])
    return [str(one.id) for one in found if str(one.id).startswith("wsgi_sessions")]


def test_nothing_is_reported_of_settings_that_are_right() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("wrong", "id"),
    [
        ({"SESSION_COOKIE_AGE": -1}, "wsgi_sessions.E001"),
        ({"WSGI_SESSIONS": {"cokie_path": "/"}}, "wsgi_sessions.E001"),
        ({"WSGI_SESSIONS_STORE": "nothing://"}, "wsgi_sessions.E001"),
        ({"WSGI_SESSIONS_MIGRATE_FROM": ["no.such.engine"]}, "wsgi_sessions.E001"),
        ({"SESSION_ENGINE": "django.contrib.sessions.backends.db"}, "wsgi_sessions.E002"),
        ({"MIDDLEWARE": [OURS, DJANGOS]}, "wsgi_sessions.E003"),
        ({"MIDDLEWARE": [OURS, f"{__name__}.OurSubclass"]}, "wsgi_sessions.E003"),
        ({"MIDDLEWARE": [DJANGOS]}, "wsgi_sessions.W004"),
        ({"MIDDLEWARE": [AUTHENTICATION, OURS]}, "wsgi_sessions.E005"),
        ({"SESSION_SERIALIZER": "x.PickleSerializer"}, "wsgi_sessions.W006"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_set_wrongly_is_reported(wrong: dict[str, Any], id: str) -> None:
    with override_settings(**wrong):
        assert problems() == [id]


def test_a_project_that_does_not_use_us_hears_nothing() -> None:
    engine = "django.contrib.sessions.backends.db"
    with override_settings(MIDDLEWARE=[DJANGOS], SESSION_ENGINE=engine):
        assert problems() == []


def test_the_admin_is_content() -> None:
    """``admin.E410`` wants Django's middleware or one that descends from it."""
    from django.contrib.admin.checks import check_dependencies

    apps = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes"]
    with override_settings(INSTALLED_APPS=[*apps, "django.contrib.messages"]):
        assert "admin.E410" not in {one.id for one in check_dependencies()}


def test_the_checks_have_an_application_for_installed_apps() -> None:
    with override_settings(INSTALLED_APPS=["wsgi_sessions.django"]):
        assert problems() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"SESSION_COOKIE_AGE": -1}, "SESSION_COOKIE_AGE"),
        ({"SESSION_COOKIE_SAMESITE": "Laxx"}, "SESSION_COOKIE_SAMESITE"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "SESSION_COOKIE_SECURE=True"),
        ({"SESSION_COOKIE_NAME": "a b"}, "SESSION_COOKIE_NAME"),
        ({"SESSION_COOKIE_PATH": "x"}, "SESSION_COOKIE_PATH"),
        ({"SESSION_COOKIE_DOMAIN": "http://x"}, "SESSION_COOKIE_DOMAIN"),
        ({"WSGI_SESSIONS": {"cokie_path": "/"}}, "did you mean"),
        ({"WSGI_SESSIONS": ["cookie_path"]}, "WSGI_SESSIONS is a dict"),
        ({"WSGI_SESSIONS_STORE": object()}, "the store is a object"),
        ({"WSGI_SESSIONS_STORE": CookieStore()}, "CookieStore"),
        ({"WSGI_SESSIONS_MIGRATE_FROM": "db"}, "WSGI_SESSIONS_MIGRATE_FROM is a list"),
        ({"WSGI_SESSIONS_MIGRATE_FROM": ["django.conf"]}, "no session engine"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_a_mistake_is_refused_when_the_server_starts_by_the_name_of_the_setting(
    wrong: dict[str, Any], said: str
) -> None:
    with (
        override_settings(**wrong),
        pytest.raises((ConfigurationError, TypeError), match=said),
    ):
        SessionMiddleware(lambda request: None)


def test_the_settings_of_the_cookie(store: RecordingStore) -> None:
    answer(lambda request: request.session.update({"x": 1}))
    with override_settings(
        SESSION_COOKIE_NAME="shop",
        SESSION_COOKIE_PATH="/app",
        SESSION_COOKIE_DOMAIN=".example.org",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SAMESITE="Strict",
    ):
        cookie = Client().get("/").cookies["shop"]

    assert (cookie["path"], cookie["domain"]) == ("/app", "example.org")
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, "", "Strict")


def test_a_cookie_that_came_by_https_is_secure_without_a_setting(store: RecordingStore) -> None:
    answer(lambda request: request.session.update({"x": 1}))

    assert Client().get("/", secure=True).cookies["sessionid"]["secure"] is True


def test_a_new_secret_key_keeps_the_visitors(client: Client) -> None:
    answer(lambda request: request.session.update({"x": 1}))
    client.get("/")
    from django.conf import settings

    answer(lambda request: request.session.get("x"))
    with override_settings(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert client.get("/").content == b"1"


def test_options_of_wsgi_sessions_win() -> None:
    with override_settings(WSGI_SESSIONS={"lifetime": 60, "cookie_name": "ours"}):
        options = session_manager().options

    assert (options.lifetime, options.cookie_name) == (60, "ours")
    assert (options.permanent, options.permanent_lifetime) == (True, 1_209_600)


def test_another_engine_in_the_settings_of_a_test_is_djangos_own_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tests of a project may use a faster one."""
    answer(lambda request: type(request.session).__module__)
    engine = "django.contrib.sessions.backends.signed_cookies"
    with override_settings(SESSION_ENGINE=engine):
        assert Client().get("/").content.decode() == f"'{engine}'"

    assert "SESSION_ENGINE is 'django.contrib.sessions.backends.signed_cookies'" in caplog.text


class OurEngine:
    """As a module of a project, whose engine descends from ours."""

    class SessionStore(SessionStore):
        def visits(self) -> int:
            return int(self.session.increment("visits"))


def test_an_engine_of_the_projects_may_descend_from_ours(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "our_engine", OurEngine)  # type: ignore[arg-type]
    answer(lambda request: request.session.visits())
    with override_settings(SESSION_ENGINE="our_engine"):
        other = Client()
        assert [other.get("/").content for _ in range(2)] == [b"1", b"2"]
