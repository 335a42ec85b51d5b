"""What people use beside Flask: Flask-WTF, Authlib, Flask-SocketIO, Flask-DebugToolbar."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import flask
import pytest
import socketio
from authlib.integrations.flask_client import OAuth
from flask import Flask, session
from flask.testing import FlaskClient
from flask_debugtoolbar import DebugToolbarExtension
from flask_socketio import SocketIO, emit
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.csrf import generate_csrf
from werkzeug.serving import make_server
from wtforms import StringField

from tests.support.flask_apps import WAYS, give_sessions, keeping
from tests.support.recording import RecordingStore
from wsgi_sessions.testing import ManualClock


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, store: RecordingStore, clock: ManualClock) -> Flask:
    """An application with sessions, made in each of the two ways."""
    app = keeping()
    give_sessions(app, request.param, store, clock=clock)
    return app


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL at which a thread of this process serves *app*."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Flask-WTF


class Form(FlaskForm):
    text = StringField()


def with_form(app: Flask) -> FlaskClient:
    CSRFProtect(app)

    @app.route("/form", methods=["GET", "POST"])
    def form() -> str:
        form = Form()
        return "accepted" if form.validate_on_submit() else str(form.hidden_tag())

    return app.test_client()


def token_in(page: str) -> str:
    found = re.search(r'value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def submit(client: FlaskClient, token: str) -> str:
    return client.post("/form", data={"csrf_token": token}).text


def test_forms_in_two_tabs_are_accepted(app: Flask) -> None:
    """And a post without the token is refused."""
    client = with_form(app)
    tokens = [token_in(client.get("/form").text) for _tab in range(2)]
    assert [submit(client, token) for token in tokens] == ["accepted", "accepted"]
    assert client.post("/form").status_code == 400


def test_a_token_survives_a_request_that_overlaps(app: Flask, store: RecordingStore) -> None:
    """One that had loaded the session before the form was made, and saves after it."""
    client = with_form(app)
    client.get("/put/a/1")
    pages: list[str] = []
    store.before["save"] = lambda: pages.append(client.get("/form").text)
    client.get("/put/a/2")
    assert submit(client, token_in(pages[0])) == "accepted"
    assert client.get("/get").json["a"] == "2"  # type: ignore[index]


def test_first_forms_that_overlap_agree_on_a_token(app: Flask, store: RecordingStore) -> None:
    """With the line that the documentation gives for it."""

    @app.before_request
    def agree_on_token() -> None:
        if flask.request.endpoint == "form":
            session.get_or_create("csrf_token", secrets.token_hex)  # type: ignore[attr-defined]

    client = with_form(app)
    client.get("/put/a/1")
    pages: list[str] = []
    store.before["save"] = lambda: pages.append(client.get("/form").text)
    pages.append(client.get("/form").text)
    assert [submit(client, token_in(page)) for page in pages] == ["accepted", "accepted"]


def test_a_token_of_a_session_that_has_ended_is_refused(app: Flask) -> None:
    """As one of another visitor."""
    client = with_form(app)
    token = token_in(client.get("/form").text)
    other = app.test_client()
    other.get("/form")
    assert submit(other, token) != "accepted"
    with client.session_transaction() as stored:
        stored.invalidate()  # type: ignore[attr-defined]
    assert submit(client, token) != "accepted"


# Authlib


def provider() -> Flask:
    """An OAuth 2 provider that lets everybody in, under a name that depends on the code."""
    app = Flask("provider")

    @app.post("/token")
    def token() -> dict[str, str]:
        return {"access_token": f"token for {flask.request.form['code']}", "token_type": "Bearer"}

    return app


@pytest.fixture
def oauth(app: Flask) -> Iterator[FlaskClient]:
    """A client of an application that takes logins from the provider."""
    oauth = OAuth(app)

    @app.get("/login")
    def login() -> Any:
        return oauth.provider.authorize_redirect("http://localhost/callback")

    @app.get("/callback")
    def callback() -> str:
        return str(oauth.provider.authorize_access_token()["access_token"])

    with serving(provider()) as url:
        oauth.register(
            "provider",
            client_id="id",
            client_secret="secret",
            authorize_url=f"{url}/authorize",
            access_token_url=f"{url}/token",
        )
        yield app.test_client()


def state_in(client: FlaskClient) -> str:
    location = client.get("/login").headers["Location"]
    return parse_qs(urlsplit(location).query)["state"][0]


def come_back(client: FlaskClient, state: str, code: str) -> str:
    return client.get("/callback", query_string={"state": state, "code": code}).text


def test_logins_at_a_provider_in_two_tabs(oauth: FlaskClient) -> None:
    """Each comes back with its own state, in any order."""
    first, second = state_in(oauth), state_in(oauth)
    assert come_back(oauth, second, "two") == "token for two"
    assert come_back(oauth, first, "one") == "token for one"


def test_logins_that_begin_at_the_same_time_both_succeed(
    oauth: FlaskClient, store: RecordingStore
) -> None:
    """The states are different keys of the session."""
    oauth.get("/put/a/1")
    states: list[str] = []
    store.before["save"] = lambda: states.append(state_in(oauth))
    states.append(state_in(oauth))
    assert len(states) == 2
    assert [come_back(oauth, state, "c") for state in states] == ["token for c"] * 2
    assert oauth.get("/get").json == {"a": "1"}


# Flask-SocketIO


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_socket_events_share_the_session_with_requests(app: Flask, transport: str) -> None:
    """With ``manage_session=False``: what one has stored the other finds at once. It is stored when
    the event is acknowledged, which may be later than what the handler emits."""
    sockets = SocketIO(app, manage_session=False, async_mode="threading")

    @sockets.on("add")
    def add(item: str) -> list[str]:
        session.setdefault("cart", []).append(item)
        return list(session["cart"])

    browser = app.test_client()
    browser.get("/add/first")
    cookie = browser.get_cookie("session")
    assert cookie is not None
    headers = {"Cookie": f"session={cookie.value}"}
    with serving(app) as url, socketio.SimpleClient() as socket:
        socket.connect(url, headers=headers, transports=[transport], wait_timeout=30)
        assert socket.call("add", "second") == ["first", "second"]
        assert browser.get("/add/third").text == "first,second,third"
        assert socket.call("add", "fourth") == ["first", "second", "third", "fourth"]
    assert browser.get("/get").json == {"cart": ["first", "second", "third", "fourth"]}


def test_socket_events_have_a_copy_of_the_session_by_default(app: Flask) -> None:
    """Flask-SocketIO makes it when the socket connects, and keeps it to itself."""
    sockets = SocketIO(app, async_mode="threading")

    @sockets.on("add")
    def add(item: str) -> None:
        session["cart"] = [*session.get("cart", []), item]
        emit("cart", session["cart"])

    browser = app.test_client()
    browser.get("/add/first")
    socket = sockets.test_client(app, flask_test_client=browser)
    socket.emit("add", "second")
    assert socket.get_received()[0]["args"] == [["first", "second"]]
    socket.disconnect()
    assert browser.get("/get").json == {"cart": ["first"]}


# Flask-DebugToolbar


def test_the_debug_toolbar_shows_the_session(app: Flask) -> None:
    """And the page under it works."""
    app.debug = True
    app.config["DEBUG_TB_INTERCEPT_REDIRECTS"] = False
    DebugToolbarExtension(app)

    @app.get("/page")
    def page() -> str:
        session["seen"] = "a remarkable value"
        return "<html><body>page</body></html>"

    client = app.test_client()
    for _ in range(2):
        text = client.get("/page").text
        assert text.startswith("<html><body>page")
        assert "a remarkable value" in text
    assert client.get("/get").json == {"seen": "a remarkable value"}


def test_generate_csrf_outside_of_forms(app: Flask) -> None:
    """As scripts get it, by a header."""
    client = with_form(app)
    app.add_url_rule("/token", view_func=lambda: generate_csrf())
    headers = {"X-CSRFToken": client.get("/token").text}
    assert client.post("/form", headers=headers).text == "accepted"
