"""Every way of logging out, while the store fails and while two cookies open a session each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask, request, session
from flask_login import LoginManager, UserMixin, login_user, logout_user
from werkzeug.test import Client

from tests.support.flask_apps import SECRET
from tests.support.recording import RecordingStore
from wsgi_sessions import MemoryStore, SessionMiddleware, Store
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.flask_session.base import ServerSideSessionInterface

Make = Callable[[Store], Any]


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(MemoryStore())


def pop(session: Any) -> None:
    with suppress(KeyError):  # where two cookies open a session each, nobody is logged in
        session.pop("user_id")


def delete(session: Any) -> None:
    with suppress(KeyError):
        del session["user_id"]


def clear_and_flash(session: Any) -> None:
    session.clear()
    session["message"] = "bye"


def set_to_none(session: Any) -> None:
    session["user_id"] = None


WAYS: dict[str, Callable[[Any], object]] = {
    "invalidate": lambda session: session.invalidate(),
    "invalidate and save": lambda session: (session.invalidate(), session.save()),
    "clear": lambda session: session.clear(),
    "clear and flash": clear_and_flash,
    "pop": pop,
    "pop with a default": lambda session: session.pop("user_id", None),
    "del": delete,
    "set to None": set_to_none,
}
LEAVING = [*WAYS, "logout_user"]


def visit(session: Any, path: str) -> None:
    """Do what *path* says."""
    _, look, what = path.split("/")
    if look == "look":
        session.get("x")
    if what == "login":
        session["user_id"] = "ann"
    elif what != "read":
        WAYS[what.replace("+", " ")](session)


def plain(store: Store, **options: Any) -> Any:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        visit(environ["wsgi.session"], environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"ok"]

    return SessionMiddleware(
        application, store, secret=SECRET, cookie_name="session", login_keys=["user_id"], **options
    )


class User(UserMixin):
    id = "ann"


def of_flask() -> Flask:
    app = Flask("application")
    app.secret_key = SECRET
    LoginManager(app).user_loader(lambda name: User())

    @app.get("/<look>/<what>")
    def page(look: str, what: str) -> str:
        if what != "logout_user":
            visit(session, request.path)
            return "ok"
        visit(session, f"/{look}/read")
        logout_user()
        return "ok"

    @app.get("/login_user")
    def login() -> str:
        login_user(User())
        return "ok"

    return app


def flask(store: Store, **options: Any) -> Any:
    app = of_flask()
    FlaskSessions(app, store=store, **options)
    return app


def drop_in(store: Store) -> Any:
    app = of_flask()
    app.session_interface = ServerSideSessionInterface(app, store, None)
    return app


APPS = [flask, drop_in, plain]
CASES = [(make, way) for make in APPS for way in (WAYS if make is plain else LEAVING)]


def log_in(client: Client, way: str) -> str:
    """The cookie's value."""
    client.get("/login_user" if way == "logout_user" else "/no/login")
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


@pytest.mark.parametrize("look", ["look", "no"])
@pytest.mark.parametrize("failing", [{"load"}, {"save", "delete"}, {"load", "save", "delete"}])
@pytest.mark.parametrize(("make", "way"), CASES)
def test_a_logout_that_fails_expires_the_cookie(
    store: RecordingStore, make: Make, way: str, failing: set[str], look: str
) -> None:
    """Whatever fails, looked at before or not: the page is a 503, and the browser forgets."""
    client = Client(make(store))
    log_in(client, way)
    store.failing = failing
    if look == "look" and "load" in failing:
        return  # the look itself fails, before the application says what it wants
    response = client.get(f"/{look}/{way.replace(' ', '+')}")
    if response.status_code == 200:  # what does not load needs no load
        assert failing == {"load"}
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert client.get_cookie("session") is None


@pytest.mark.parametrize("reason", ["the store fails", "a key that is not here"])
@pytest.mark.parametrize("look", ["look", "no"])
@pytest.mark.parametrize(("make", "way"), [case for case in CASES if case[0] is not drop_in])
def test_a_logout_of_a_session_that_cannot_be_read_expires_the_cookie(
    store: RecordingStore, make: Make, way: str, look: str, reason: str
) -> None:
    """The page goes out, as if the visitor were anonymous; and a page that is no logout leaves the
    cookie alone."""
    client = Client(make(store, encryption_keys=[b"1" * 32]))
    log_in(client, way)
    if reason == "the store fails":
        client.application = make(store, encryption_keys=[b"1" * 32], on_store_error="anonymous")
        store.failing = {"load"}
    else:
        client.application = make(store, encryption_keys=[b"2" * 32])
    assert "Set-Cookie" not in client.get("/look/read").headers
    response = client.get(f"/{look}/{way.replace(' ', '+')}")
    assert response.status_code in (200, 503)
    assert "Max-Age=0" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("make", APPS)
@pytest.mark.parametrize("what", ["read", "login"])
def test_a_page_that_fails_and_is_no_logout_expires_nothing(
    store: RecordingStore, make: Make, what: str
) -> None:
    client = Client(make(store))
    client.get("/no/login")
    store.failing = {"load", "save"}
    response = client.get(f"/look/{what}")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(("make", "way"), [*CASES, *((make, "login") for make in APPS)])
def test_a_login_or_logout_ends_two_living_sessions(
    store: RecordingStore, make: Make, way: str
) -> None:
    """Both are dead in the store, and no cookie of another place is left."""
    app = make(store)
    clients = [Client(app), Client(app)]
    values = [log_in(client, way) for client in clients]
    both = "; ".join(f"session={value}" for value in values)
    assert all(store.inner.load(value[:22]) for value in values)
    response = Client(app, use_cookies=False).get(
        f"/no/{way.replace(' ', '+')}", headers={"Cookie": both}
    )
    assert not any(store.inner.load(value[:22]) for value in values)
    assert response.headers.getlist("Set-Cookie")
    if way not in ("login", "set to None", "clear and flash"):
        assert "Max-Age=0" in response.headers["Set-Cookie"]


@pytest.mark.parametrize("make", APPS)
def test_two_living_sessions_are_not_ended_by_reading(store: RecordingStore, make: Make) -> None:
    app = make(store)
    values = [log_in(Client(app), "login") for _ in range(2)]
    both = "; ".join(f"session={value}" for value in values)
    response = Client(app, use_cookies=False).get("/look/read", headers={"Cookie": both})
    assert "Set-Cookie" not in response.headers
    assert all(store.inner.load(value[:22]) for value in values)
