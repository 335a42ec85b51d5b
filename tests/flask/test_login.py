"""Flask-Login beside our sessions: its logins are those of the session, its logouts the end."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, flash, get_flashed_messages, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.test import TestResponse

from tests.support.flask_apps import WAYS, give_sessions, keeping
from tests.support.recording import RecordingStore
from wsgi_sessions.testing import ManualClock


class User(UserMixin):
    def __init__(self, id: str) -> None:
        self.id = id


def with_logins(app: Flask) -> Flask:
    logins = LoginManager(app)
    logins.user_loader(User)

    @app.get("/login/<name>")
    def login(name: str) -> str:
        login_user(User(name))
        return "in"

    @app.get("/login/<name>/remember")
    def remember(name: str) -> str:
        login_user(User(name), remember=True)
        return "in"

    @app.get("/logout")
    def logout() -> str:
        flash("before")
        logout_user()
        flash("after")
        return "out"

    @app.get("/whoami")
    def whoami() -> dict[str, Any]:
        name = current_user.get_id()
        fresh = session.get("_fresh")
        return {"name": name, "fresh": fresh, "owner": getattr(session, "owner", None)}

    @app.get("/messages")
    def messages() -> list[str]:
        return get_flashed_messages()

    return app


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, store: RecordingStore, clock: ManualClock) -> Flask:
    """An application with logins; the sessions come first or last."""
    app = keeping()
    if request.param == "FlaskSessions":
        give_sessions(app, request.param, store, clock=clock)
        return with_logins(app)
    with_logins(app)
    give_sessions(app, request.param, store, clock=clock)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def get_with(app: Flask, path: str, cookie: str, **headers: str) -> TestResponse:
    """The answer to whoever has only this session cookie."""
    headers["Cookie"] = f"session={cookie}"
    return app.test_client(use_cookies=False).get(path, headers=headers)


def test_a_login_replaces_the_cookie(app: Flask, client: FlaskClient) -> None:
    """The data stays, and the cookie from before, which somebody may have planted, is dead."""
    client.get("/put/a/1")
    before = cookie_of(client)
    client.get("/login/ann")
    assert client.get("/whoami").json == {"name": "ann", "fresh": True, "owner": "ann"}
    assert client.get("/get").json["a"] == "1"  # type: ignore[index]
    assert get_with(app, "/get", before).json == {}


def test_a_login_of_another_user_is_one_and_keeps_what_the_application_has_put(
    app: Flask, client: FlaskClient
) -> None:
    """As Flask's own sessions do: impersonation has to find its way back."""
    client.get("/login/ann")
    client.get("/put/a/1")
    before = cookie_of(client)
    client.get("/login/bob")
    assert client.get("/whoami").json == {"name": "bob", "fresh": True, "owner": "bob"}
    assert client.get("/get").json["a"] == "1"  # type: ignore[index]
    assert get_with(app, "/get", before).json == {}


def test_a_logout_replaces_the_cookie(app: Flask, client: FlaskClient) -> None:
    """The one from before is dead, also where a copy of it was kept."""
    client.get("/login/ann")
    before = cookie_of(client)
    client.get("/logout")
    assert get_with(app, "/get", before).json == {}
    assert get_with(app, "/whoami", before).json["name"] is None  # type: ignore[index]
    assert client.get("/whoami").json == {"name": None, "fresh": False, "owner": None}


def test_what_a_logout_leaves_goes_on(client: FlaskClient) -> None:
    """As Flask-Login leaves it where it was: carts, languages, messages."""
    client.get("/login/ann")
    client.get("/add/book")
    before = cookie_of(client)
    client.get("/logout")
    assert client.get("/messages").json == ["before", "after"]
    assert client.get("/get").json == {"cart": ["book"]}
    assert cookie_of(client)[22:44] != before[22:44]


def test_a_request_in_flight_does_not_undo_a_logout(
    client: FlaskClient, store: RecordingStore
) -> None:
    """It had the session loaded when the logout came, and saves after it."""
    client.get("/login/ann")
    before = cookie_of(client)
    store.before["save"] = lambda: client.get("/logout")
    get_with(client.application, "/put/a/1", before)
    assert "a" not in client.get("/get").json  # type: ignore[operator]
    assert client.get("/whoami").json["name"] is None  # type: ignore[index]


def test_remember_me_logs_in_again(app: Flask, client: FlaskClient) -> None:
    """After the session cookie is gone; into a session of which nobody had the cookie before."""
    client.get("/login/ann/remember")
    client.delete_cookie("session")
    client.get("/put/a/1")
    planted = cookie_of(client)
    assert client.get("/whoami").json == {"name": "ann", "fresh": False, "owner": "ann"}
    assert cookie_of(client) != planted
    assert get_with(app, "/whoami", planted).json["name"] is None  # type: ignore[index]


def test_a_logout_forgets_who_was_remembered(client: FlaskClient) -> None:
    """Flask-Login clears its cookie by a key in the session, which must outlive the logout."""
    client.get("/login/ann/remember")
    assert client.get_cookie("remember_token") is not None
    client.get("/logout")
    assert client.get_cookie("remember_token") is None
    client.delete_cookie("session")
    assert client.get("/whoami").json["name"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("mode", "thief"),
    [
        ("strong", {"name": None, "fresh": None, "owner": None}),
        ("basic", {"name": "ann", "fresh": False, "owner": "ann"}),
    ],
)
def test_session_protection(
    app: Flask, client: FlaskClient, mode: str, thief: dict[str, object]
) -> None:
    """A cookie that turns up at another browser: the session ends, or is no longer fresh."""
    app.config["SESSION_PROTECTION"] = mode
    client.get("/login/ann")
    stolen = cookie_of(client)
    assert get_with(app, "/whoami", stolen, **{"User-Agent": "thief"}).json == thief
    assert client.get("/whoami").json == thief


def test_strong_protection_leaves_anonymous_sessions_alone(app: Flask, client: FlaskClient) -> None:
    """To Flask-Login they look as if they had been made by another browser."""
    app.config["SESSION_PROTECTION"] = "strong"
    client.get("/put/a/1")
    before = cookie_of(client)
    assert client.get("/whoami").json["name"] is None  # type: ignore[index]
    assert client.get("/get").json == {"a": "1"}
    assert cookie_of(client) == before


def test_the_same_user_again_is_no_login(app: Flask, client: FlaskClient) -> None:
    """As OctoPrint has it at every page: the cookie stays, and nothing is written."""
    client.get("/login/ann")
    before = cookie_of(client)
    for _ in range(3):
        assert "Set-Cookie" not in client.get("/login/ann").headers
    assert cookie_of(client) == before


def test_applications_with_other_sessions_are_left_alone(app: Flask) -> None:
    """Login keys are of our sessions, not of Flask-Login's in general."""
    app.test_client().get("/login/ann")
    client = with_logins(keeping()).test_client()
    client.get("/login/bob/remember")
    assert client.get("/whoami").json == {"name": "bob", "fresh": True, "owner": None}
    client.get("/logout")
    assert client.get("/whoami").json == {"name": None, "fresh": False, "owner": None}


def test_notes_of_one_request_are_put_by_update_too(app: Flask) -> None:
    """However they are put they are found, and not stored."""

    @app.get("/notes")
    def notes() -> str:
        session.update({"_remember": "set"}, _remember_seconds=5, other=1)
        return f"{session['_remember']}, {session['_remember_seconds']}, {list(session)}"

    @app.get("/next")
    def following() -> list[str]:
        return list(session)

    client = app.test_client()
    assert client.get("/notes").text == "set, 5, ['other']"
    assert client.get("/next").json == ["other"]
