"""The answer to a save was lost: the visitor keeps a cookie that opens a session, either way.

A login or ``regenerate()`` that may be stored sends the new cookie with its 503, because the old
one would open nothing; one that is certainly not stored sends none: the old one is still good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask, redirect, session
from werkzeug.test import Client

from tests.servers.proxy import FaultProxy
from tests.servers.redis import RedisServer
from tests.support.flask_apps import SECRET
from tests.support.recording import RecordingOwners, RecordingStore
from wsgi_sessions import MemoryStore, RedisStore, Session, SessionMiddleware, Store
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.stores import Timeouts

WAYS: dict[str, Callable[[Any], object]] = {
    "login": lambda session: session.login("ann"),
    "login key": lambda session: session.update(user_id="ann"),
    "clear and login key": lambda session: (session.clear(), session.update(user_id="ann")),
    "regenerate": lambda session: session.regenerate(),
}
ORDINARY: dict[str, Callable[[Any], object]] = {
    "a change": lambda session: session.update(cart=["tea"]),
    "nothing": lambda session: session.get("cart"),
}


def visit(session: Any, path: str) -> str:
    _, what, *how = path.replace("+", " ").split("/")
    if what == "begin":
        session["cart"] = []
    elif what in WAYS:
        WAYS[what](session)
    elif what in ORDINARY:
        ORDINARY[what](session)
    if "save" in how:
        session.save()
    return "here" if "cart" in session else "nobody"


def plain(store: Store) -> Any:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        text = visit(environ["wsgi.session"], environ["PATH_INFO"])
        start_response("200 OK", [])
        return [text.encode()]

    return SessionMiddleware(
        application, store, secret=SECRET, cookie_name="session", login_keys=["user_id"]
    )


def in_flask(store: Store) -> Any:
    app = Flask("lost")
    app.config.update(SECRET_KEY=SECRET)
    FlaskSessions(app, store)
    app.add_url_rule("/<path:what>", view_func=lambda what: visit(session, f"/{what}"))
    return app


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(MemoryStore())


@pytest.fixture(params=[plain, in_flask])
def client(request: pytest.FixtureRequest, store: RecordingStore) -> Client:
    client = Client(request.param(store))
    client.get("/begin")
    return client


@pytest.mark.parametrize("saved", ["", "/save"])
@pytest.mark.parametrize("way", WAYS)
def test_a_login_that_may_be_stored_sends_its_cookie_with_the_503(
    client: Client, store: RecordingStore, way: str, saved: str
) -> None:
    before = client.get_cookie("session")
    store.losing = {"save"}
    response = client.get(f"/{way}{saved}")
    assert response.status_code == 503
    assert response.headers["Cache-Control"] == "no-store"
    assert client.get_cookie("session") != before
    store.losing = set()
    assert client.get("/nothing").text == ("nobody" if "clear" in way else "here")


@pytest.mark.parametrize("saved", ["", "/save"])
@pytest.mark.parametrize("way", WAYS)
def test_a_login_that_was_refused_sends_no_cookie(
    client: Client, store: RecordingStore, way: str, saved: str
) -> None:
    store.failing = {"save"}
    response = client.get(f"/{way}{saved}")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers
    store.failing = set()
    assert client.get("/nothing").text == "here"


@pytest.mark.parametrize("way", ORDINARY)
def test_an_ordinary_save_whose_answer_is_lost_sends_no_cookie(
    client: Client, store: RecordingStore, way: str
) -> None:
    store.losing = {"save"}
    response = client.get(f"/{way}")
    assert "Set-Cookie" not in response.headers
    store.losing = set()
    assert client.get("/nothing").text == "here"


def test_a_login_before_whose_save_something_else_failed_sends_no_cookie() -> None:
    """The save was not sent, so what is not known of the call before it does not matter."""
    store = RecordingOwners()
    client = Client(plain(store))
    client.get("/begin")
    store.losing = {"load"}
    response = client.get("/login")
    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers
    store.losing = set()
    assert client.get("/nothing").text == "here"


def test_a_login_that_was_saved_keeps_its_cookie_when_a_later_save_is_refused(
    store: RecordingStore,
) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        session: Session = environ["wsgi.session"]
        if environ["PATH_INFO"] == "/login":
            session.login("ann")
            session.save()
            store.failing = {"save"}
            session["a"] = 1
        start_response("200 OK", [])
        return [str(session.owner).encode()]

    client = Client(SessionMiddleware(application, store, secret=SECRET))
    response = client.get("/login")
    assert response.status_code == 503
    store.failing = set()
    assert client.get("/").text == "ann"


@pytest.mark.parametrize("way", WAYS)
def test_an_application_that_saves_again_after_a_lost_answer_goes_on_with_its_session(
    store: RecordingStore, way: str
) -> None:
    """The second save finds what the first one has stored."""
    app = Flask("lost")
    app.config.update(SECRET_KEY=SECRET)
    FlaskSessions(app, store, login_keys=["user_id"])

    @app.get("/<path:what>")
    def view(what: str) -> str:
        return visit(session, f"/{what}")

    @app.errorhandler(StoreUnavailable)
    def failed(error: StoreUnavailable) -> Any:
        store.losing = set()
        return redirect("/nothing")

    client = Client(app)
    client.get("/begin")
    store.losing = {"save"}
    assert client.get(f"/{way}/save").status_code == 302
    keys = set(store.inner.keys())  # type: ignore[attr-defined]
    assert len(keys - {"signing-key-hint"}) == 1
    assert client.get("/nothing").text == ("nobody" if "clear" in way else "here")


@pytest.mark.parametrize("way", ["login", "regenerate"])
def test_what_is_tried_again_and_refused_sends_the_cookie_of_the_first_try(
    store: RecordingStore, way: str
) -> None:
    """Only that one may be stored: each try has a secret of its own."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        session: Session = environ["wsgi.session"]
        if environ["PATH_INFO"] == f"/{way}":
            store.losing = {"save"}
            with pytest.raises(StoreUnavailable):
                visit(session, f"/{way}/save")
            store.losing, store.failing = set(), {"save"}
        text = visit(session, environ["PATH_INFO"])
        start_response("200 OK", [])
        return [text.encode()]

    client = Client(SessionMiddleware(application, store, secret=SECRET, cookie_name="session"))
    client.get("/begin")
    assert client.get(f"/{way}").status_code == 503
    store.failing = set()
    assert client.get("/nothing").text == "here"


@pytest.mark.parametrize("handed_in", [False, True])
def test_a_login_over_a_redis_that_is_gone_takes_nobodys_cookie(
    redis_server: RedisServer, handed_in: bool
) -> None:
    with FaultProxy(redis_server.port) as proxy, redis.Redis(port=proxy.port) as handed:
        target: Any = handed if handed_in else f"redis://127.0.0.1:{proxy.port}"
        store = RedisStore(target, timeouts=Timeouts(connect=20, answer=20))
        client = Client(plain(store))
        client.get("/begin")
        proxy.refuse()
        for _ in range(2):
            response = client.get("/login")
            assert response.status_code == 503
            assert "Set-Cookie" not in response.headers
        proxy.restore()
        assert client.get("/nothing").text == "here"
        store.close()
