"""Flask's configuration makes the cookie, its keys and the lifetimes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, session
from itsdangerous import BadSignature

from tests.support.flask_apps import SECRET, counting, set_cookie
from tests.support.recording import RecordingStore
from wsgi_sessions import ConfigurationError, CookieStore, MemoryStore, SQLiteStore
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.testing import ManualClock

DAY = 86_400


@pytest.mark.parametrize(
    ("configuration", "attributes"),
    [
        ({}, "Path=/; HttpOnly; SameSite=Lax"),
        (
            {"SESSION_COOKIE_DOMAIN": "example.org"},
            "Domain=example.org; Path=/; HttpOnly; SameSite=Lax",
        ),
        ({"SESSION_COOKIE_DOMAIN": False}, "Path=/; HttpOnly; SameSite=Lax"),
        ({"SESSION_COOKIE_PATH": "/shop"}, "Path=/shop; HttpOnly; SameSite=Lax"),
        ({"APPLICATION_ROOT": "/root"}, "Path=/root; HttpOnly; SameSite=Lax"),
        (
            {"APPLICATION_ROOT": "/root", "SESSION_COOKIE_PATH": "/"},
            "Path=/; HttpOnly; SameSite=Lax",
        ),
        ({"SESSION_COOKIE_HTTPONLY": False}, "Path=/; SameSite=Lax"),
        ({"SESSION_COOKIE_SECURE": True}, "Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, "HttpOnly; SameSite=Strict"),
        ({"SESSION_COOKIE_SAMESITE": None}, "Path=/; HttpOnly"),
        (
            {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_PARTITIONED": True},
            "Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned",
        ),
    ],
)
def test_the_configuration_makes_the_cookie(
    configuration: dict[str, object], attributes: str
) -> None:
    """Set after the extension, as tests and factories do."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    app.config.update(configuration)
    assert set_cookie(app, base_url="http://localhost/").endswith(f"; {attributes}")


def test_the_name_of_the_cookie_is_flasks() -> None:
    """``SESSION_COOKIE_NAME``."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    assert set_cookie(app).startswith("session=")
    app.config["SESSION_COOKIE_NAME"] = "other"
    assert set_cookie(app).startswith("other=")


def test_a_change_of_the_configuration_counts_from_the_next_request() -> None:
    """The session goes on, if its key is still accepted."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    client = app.test_client()
    client.get("/")
    app.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[SECRET])
    assert client.get("/n").text == "application 1"
    app.config.update(SECRET_KEY_FALLBACKS=[])
    assert client.get("/n").text == "application None"


def test_options_win_over_the_configuration() -> None:
    """Whenever that is set."""
    app = counting()
    FlaskSessions(app, store=MemoryStore(), cookie_name="sid", cookie_secure=False, secret="mine")
    app.config.update(SESSION_COOKIE_NAME="other", SESSION_COOKIE_SECURE=True)
    cookie = set_cookie(app, base_url="https://localhost/")
    assert cookie.startswith("sid=")
    assert "Secure" not in cookie
    assert app.extensions["wsgi_sessions"].manager.options.secret == "mine"


@pytest.mark.parametrize("url", ["http://localhost/", "https://localhost/"])
def test_unless_told_the_cookie_is_secure_by_the_scheme(url: str) -> None:
    """``SESSION_COOKIE_SECURE = False`` is Flask's default, and forbids nothing."""
    app = counting()
    FlaskSessions(app, store=MemoryStore())
    assert ("Secure" in set_cookie(app, base_url=url)) is url.startswith("https")


@pytest.mark.parametrize("configured", [timedelta(days=7), 7 * DAY])
def test_permanent_sessions_live_as_configured(
    configured: object, store: RecordingStore, clock: ManualClock
) -> None:
    """``PERMANENT_SESSION_LIFETIME`` is a ``timedelta`` or seconds."""
    app = counting()
    app.config["PERMANENT_SESSION_LIFETIME"] = configured
    FlaskSessions(app, store=store, clock=clock)
    client = app.test_client()
    assert f"Max-Age={7 * DAY}" in client.get("/permanent").headers["Set-Cookie"]
    clock.advance(7 * DAY - 1)
    assert client.get("/n").text == "application 1"
    clock.advance(7 * DAY)
    assert client.get("/n").text == "application None"


def test_a_short_lifetime_holds_for_ordinary_sessions_too(
    store: RecordingStore, clock: ManualClock
) -> None:
    """As in Flask, where the signature of every session is that old at most."""
    app = counting()
    app.config["PERMANENT_SESSION_LIFETIME"] = 1200
    FlaskSessions(app, store=store, clock=clock)
    client = app.test_client()
    client.get("/")
    clock.advance(1200)
    assert client.get("/n").text == "application None"


def test_a_long_lifetime_is_not_cut_short(store: RecordingStore, clock: ManualClock) -> None:
    """By the absolute lifetime, which has no counterpart in Flask's configuration."""
    app = counting()
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=365)
    FlaskSessions(app, store=store, clock=clock)
    assert f"Max-Age={365 * DAY}" in set_cookie(app, "/permanent")


def test_sessions_may_be_in_the_cookie_itself() -> None:
    """Encrypted with keys made of ``SECRET_KEY``."""
    app = counting()
    FlaskSessions(app, store=CookieStore())
    client = app.test_client()
    client.get("/")
    with client.session_transaction() as stored:
        assert stored["n"] == 1
        stored["n"] = 41
    assert client.get("/").text == "application 42"


def test_no_secret_key_is_needed() -> None:
    """The workers then share one through the store."""
    app = counting()
    app.secret_key = None
    FlaskSessions(app, store=MemoryStore())
    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["application 1", "application 2"]


def test_impossible_options_are_refused_at_once() -> None:
    """Before there is an application."""
    with pytest.raises(TypeError, match="cookie_nmae"):
        FlaskSessions(store=MemoryStore(), cookie_nmae="sid")
    with pytest.raises(ConfigurationError, match="lifetime"):
        FlaskSessions(store=MemoryStore(), lifetime=0)


def test_the_default_store_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``WSGI_SESSIONS_STORE``."""
    monkeypatch.setenv("WSGI_SESSIONS_STORE", f"sqlite:///{tmp_path}/s.db")
    app = counting()
    FlaskSessions(app)
    store = app.extensions["wsgi_sessions"].manager.store
    assert isinstance(store, SQLiteStore)
    assert app.test_client().get("/").text == "application 1"
    store.close()
    assert (tmp_path / "s.db").exists()


def test_a_cookie_of_flasks_own_sessions_is_replaced(store: RecordingStore) -> None:
    """It is none of ours, even under the same key and name."""
    before, after = Flask("before"), Flask("after")
    for app in (before, after):
        app.secret_key = "the same key"
        app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
    cookie = before.test_client().get("/").headers["Set-Cookie"].partition(";")[0]
    FlaskSessions(after, store=store)
    response = after.test_client(use_cookies=False).get("/", headers={"Cookie": cookie})
    assert store.pop_calls() == ["load", "save", "save"]  # the key's hint, as at any first session
    assert response.headers["Set-Cookie"].startswith("session=")


def test_the_cookie_cannot_be_read_as_one_of_flasks() -> None:
    """Though it is signed with the same key: the two are derived from it differently."""
    app = counting()
    value = set_cookie(app).partition("=")[2].partition(";")[0]
    own = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    FlaskSessions(app, store=MemoryStore())
    ours = set_cookie(app).partition("=")[2].partition(";")[0]
    assert own.loads(value) == {"n": 1}
    with pytest.raises(BadSignature):
        own.loads(ours)


@pytest.mark.parametrize("path", ["/permanent", "/"])
@pytest.mark.parametrize("refresh", [True, False])
def test_refresh_each_request_says_whether_reading_prolongs_a_session(
    store: RecordingStore, clock: ManualClock, refresh: bool, path: str
) -> None:
    """A write always does; the key may be set later."""
    app = counting()
    FlaskSessions(app, store=store, clock=clock)
    app.config["SESSION_REFRESH_EACH_REQUEST"] = refresh
    app.config["PERMANENT_SESSION_LIFETIME"] = 1000
    client = app.test_client()
    client.get(path)
    for _ in range(2):
        clock.advance(900)
        assert "Set-Cookie" in client.get(path).headers
        clock.advance(500)
        response = client.get("/n")
        assert (response.text[-4:] != "None", "Set-Cookie" in response.headers) == (True, refresh)
        clock.advance(600)
        assert (client.get("/n").text[-4:] != "None") is refresh
        client.get(path)


def test_a_value_that_is_created_prolongs_a_session(
    store: RecordingStore, clock: ManualClock
) -> None:
    """With ``SESSION_REFRESH_EACH_REQUEST = False`` too: it is a write. Finding it is none."""
    app = counting()
    app.config.update(SESSION_REFRESH_EACH_REQUEST=False, PERMANENT_SESSION_LIFETIME=1000)
    app.add_url_rule("/token", view_func=lambda: session.get_or_create("token", lambda: "t"))
    FlaskSessions(app, store=store, clock=clock)
    client = app.test_client()
    client.get("/permanent")
    clock.advance(900)
    assert "Set-Cookie" in client.get("/token").headers
    clock.advance(900)
    assert "Set-Cookie" not in client.get("/token").headers
    clock.advance(200)
    assert client.get("/n").text[-4:] == "None"


def test_renews_wins_over_refresh_each_request(store: RecordingStore, clock: ManualClock) -> None:
    app = counting()
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    FlaskSessions(app, store=store, clock=clock, renews=lambda environ: True)
    client = app.test_client()
    client.get("/permanent")
    clock.advance(10 * 86_400)
    assert "Set-Cookie" in client.get("/n").headers


def test_polling_that_does_not_count_prolongs_nothing(
    store: RecordingStore, clock: ManualClock
) -> None:
    app = counting()
    FlaskSessions(app, store=store, clock=clock, renews=lambda environ: not environ["QUERY_STRING"])
    client = app.test_client()
    client.get("/")
    clock.advance(80_000)
    assert client.get("/?poll").text == "application 2"
    clock.advance(6_400)
    assert client.get("/n?poll").text == "application None"
