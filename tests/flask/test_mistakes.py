"""A mistake in Flask's configuration is found when the application starts, by Flask's key; one that
is made later disturbs no visitor."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, session

from tests.support.flask_apps import SECRET, counting, set_cookie
from wsgi_sessions import ConfigurationError, CookieStore, MemoryStore
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.flask import session as typed_session
from wsgi_sessions.testing import ManualClock

MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"SESSION_COOKIE_SAMESITE": "lax "}, ConfigurationError, "^SESSION_COOKIE_SAMESITE is 'lax '"),
    ({"SESSION_COOKIE_SAMESITE": ""}, ConfigurationError, "^SESSION_COOKIE_SAMESITE is ''"),
    ({"SESSION_COOKIE_SAMESITE": False}, TypeError, "^SESSION_COOKIE_SAMESITE must be a str"),
    (
        {"SESSION_COOKIE_SAMESITE": "None"},
        ConfigurationError,
        "^SESSION_COOKIE_SAMESITE='None' needs SESSION_COOKIE_SECURE=True",
    ),
    (
        {"SESSION_COOKIE_PARTITIONED": True},
        ConfigurationError,
        "^SESSION_COOKIE_PARTITIONED needs SESSION_COOKIE_SECURE=True",
    ),
    ({"SESSION_COOKIE_PARTITIONED": "no"}, TypeError, "^SESSION_COOKIE_PARTITIONED must be True"),
    (
        {"SESSION_COOKIE_NAME": "__Host-session"},
        ConfigurationError,
        "^SESSION_COOKIE_NAME '__Host-session' needs SESSION_COOKIE_SECURE=True, SESSION_COOKIE_P",
    ),
    ({"SESSION_COOKIE_NAME": "a b"}, ConfigurationError, "^SESSION_COOKIE_NAME 'a b' is not a tok"),
    ({"SESSION_COOKIE_NAME": None}, TypeError, "^SESSION_COOKIE_NAME must be a str, not None"),
    ({"SESSION_COOKIE_PATH": "shop"}, ConfigurationError, "^SESSION_COOKIE_PATH 'shop' must start"),
    ({"APPLICATION_ROOT": "shop"}, ConfigurationError, "^APPLICATION_ROOT 'shop' must start"),
    ({"SESSION_COOKIE_DOMAIN": True}, TypeError, "^SESSION_COOKIE_DOMAIN must be a str or None"),
    (
        {"SESSION_COOKIE_DOMAIN": "https://example.org"},
        ConfigurationError,
        "^SESSION_COOKIE_DOMAIN .* is not a domain name",
    ),
    ({"SESSION_COOKIE_SECURE": "false"}, TypeError, "^SESSION_COOKIE_SECURE must be True, False"),
    ({"SESSION_COOKIE_HTTPONLY": "false"}, TypeError, "^SESSION_COOKIE_HTTPONLY must be True or F"),
    *(
        ({"PERMANENT_SESSION_LIFETIME": wrong}, error, "^PERMANENT_SESSION_LIFETIME ")
        for wrong, error in (
            (timedelta(0), ConfigurationError),
            (-1, ConfigurationError),
            (0, ConfigurationError),
            ("3600", TypeError),
            (None, TypeError),
            (True, TypeError),
        )
    ),
    ({"SECRET_KEY": 12345}, TypeError, "^SECRET_KEY must be str or bytes, not int"),
    ({"SECRET_KEY": [SECRET]}, TypeError, "^SECRET_KEY must be str or bytes, not list"),
    ({"SECRET_KEY_FALLBACKS": SECRET}, TypeError, "^SECRET_KEY_FALLBACKS is a sequence .* a list"),
    ({"SECRET_KEY_FALLBACKS": [1]}, TypeError, "^SECRET_KEY_FALLBACKS must be str or bytes"),
]


@pytest.mark.parametrize(("configuration", "error", "message"), MISTAKES)
def test_a_mistake_is_found_when_the_application_starts(
    configuration: dict[str, Any], error: type[Exception], message: str
) -> None:
    app = counting()
    app.config.update(configuration)
    with pytest.raises(error, match=message) as caught:
        FlaskSessions(app, store=MemoryStore())
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("configuration", "error", "message"), MISTAKES)
def test_a_mistake_that_is_made_later_disturbs_no_visitor(
    configuration: dict[str, Any],
    error: type[Exception],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What worked before goes on; one log entry says what is wrong, by Flask's key."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    client = app.test_client()
    client.get("/")
    app.config.update(configuration)
    with caplog.at_level(logging.ERROR):
        answers = [client.get("/n") for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "application 1")}
    assert len(caplog.messages) == 1
    assert next(iter(configuration)) in caplog.messages[0]
    assert SECRET not in caplog.text


def test_a_mistake_that_is_mended_is_forgotten() -> None:
    """The next request uses what it says then."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    app.config["SESSION_COOKIE_PATH"] = "shop"
    assert "; Path=/;" in set_cookie(app)
    app.config["SESSION_COOKIE_PATH"] = "/shop"
    assert "; Path=/shop;" in set_cookie(app)


def test_a_mistake_among_the_options_is_named_by_the_option() -> None:
    """The configuration is not to blame, although it has a key for that."""
    app = counting()
    with pytest.raises(ConfigurationError, match=r"^cookie_samesite='None' needs SESSION_"):
        FlaskSessions(app, store=MemoryStore(), cookie_samesite="None")
    with pytest.raises(ConfigurationError, match=r"^cookie_path 'shop' must"):
        FlaskSessions(app, store=MemoryStore(), cookie_path="shop")


@pytest.mark.parametrize("value", [True, 1])
def test_flasks_truth_values_are_taken(value: object) -> None:
    """As Flask takes them."""
    app = counting()
    app.config.update(SESSION_COOKIE_SECURE=value, SESSION_COOKIE_HTTPONLY=0)
    FlaskSessions(app, store=MemoryStore())
    line = set_cookie(app)
    assert "; Secure" in line
    assert "HttpOnly" not in line


def test_a_key_may_be_set_after_the_start_where_one_is_needed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Until then a page without a session works, and one with a session is told what is missing."""
    app = Flask("application")
    FlaskSessions(app, store=CookieStore())
    app.add_url_rule("/plain", view_func=lambda: "plain", endpoint="plain")
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
    client = app.test_client()
    assert client.get("/plain").text == "plain"
    assert client.get("/").status_code == 500
    assert "CookieStore cannot keep a signing key" in caplog.text
    assert "SECRET_KEY" in caplog.text
    app.secret_key = SECRET
    assert client.get("/").text == "1"


def test_what_else_is_wrong_is_found_although_the_key_is_missing() -> None:
    """When the application starts."""
    app = Flask("application")
    app.config["SESSION_COOKIE_PATH"] = "shop"
    with pytest.raises(ConfigurationError, match=r"^SESSION_COOKIE_PATH"):
        FlaskSessions(app, store=CookieStore())


def test_older_keys_of_the_environment_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the configuration has none."""
    store = MemoryStore()
    before, after = counting(), counting()
    FlaskSessions(before, store=store)
    cookie = set_cookie(before).partition(";")[0]
    monkeypatch.setenv("WSGI_SESSIONS_FALLBACK_SECRETS", "another " + "x" * 20)
    after.secret_key = "a new key of the application"
    FlaskSessions(after, store=store, fallback_secrets=[SECRET])
    client = after.test_client(use_cookies=False)
    assert client.get("/n", headers={"Cookie": cookie}).text == "application 1"
    extension = FlaskSessions(store=store)
    other = counting()
    extension.init_app(other)
    assert other.extensions["wsgi_sessions"].manager.options.fallback_secrets[0] == "another"


def test_keys_that_are_added_in_place_count_from_the_next_request() -> None:
    """The list is the same object."""
    app = counting()
    app.config["SECRET_KEY_FALLBACKS"] = fallbacks = ["an older key of the application"]
    FlaskSessions(app, store=MemoryStore())
    client = app.test_client()
    client.get("/")
    app.secret_key = "a new key of the application"
    assert client.get("/n").text == "application None"
    fallbacks.append(SECRET)
    assert app.test_client().get("/n").status_code == 200
    assert SECRET in app.extensions["wsgi_sessions"].manager.options.fallback_secrets


def test_a_lifetime_that_a_request_sets_counts_for_itself(clock: ManualClock) -> None:
    """In a function before each request, as many recipes do it."""
    app = Flask("application")
    app.secret_key = SECRET
    FlaskSessions(app, store=MemoryStore(clock=clock), clock=clock)

    @app.before_request
    def five_minutes() -> None:
        session.permanent = True
        app.permanent_session_lifetime = timedelta(minutes=5)

    app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
    app.add_url_rule("/n", endpoint="n", view_func=lambda: str(session.get("n")))
    manager = app.extensions["wsgi_sessions"].manager
    client = app.test_client()
    assert "Max-Age=300" in client.get("/").headers["Set-Cookie"]
    assert app.extensions["wsgi_sessions"].manager is manager
    clock.advance(360)
    assert client.get("/n").text == "None"


def test_a_wrong_lifetime_that_a_request_sets_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The one before goes on."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())

    @app.before_request
    def wrong() -> None:
        app.config["PERMANENT_SESSION_LIFETIME"] = "5 minutes"

    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["application 1", "application 2"]
    assert len(caplog.messages) == 1
    assert "PERMANENT_SESSION_LIFETIME" in caplog.messages[0]


def test_the_typed_session_is_flasks() -> None:
    """The very object."""
    assert typed_session is session  # type: ignore[comparison-overlap]
