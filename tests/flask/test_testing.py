"""Sessions where no middleware is: the tests of an application, and contexts made by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import flask
import pytest
from flask import Flask, flash, get_flashed_messages, session

from tests.support.flask_apps import WAYS, give_sessions, keeping
from tests.support.recording import RecordingStore
from wsgi_sessions import ConfigurationError
from wsgi_sessions.flask import FlaskSessionInterface
from wsgi_sessions.testing import ManualClock


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, store: RecordingStore, clock: ManualClock) -> Flask:
    """An application with sessions, made in each of the two ways."""
    app = keeping()
    give_sessions(app, request.param, store, clock=clock)
    return app


def test_the_client_opens_the_session_in_a_transaction(app: Flask) -> None:
    """It finds what requests stored, and requests find what it stored."""
    client = app.test_client()
    with client.session_transaction() as first:
        first["a"] = "1"
    client.get("/add/x")
    with client.session_transaction() as second:
        assert dict(second) == {"a": "1", "cart": ["x"]}
        second["cart"].append("y")
        del second["a"]
    assert client.get("/get").json == {"cart": ["x", "y"]}


def test_the_cookie_of_a_transaction_is_secure_by_its_scheme(app: Flask) -> None:
    """As that of a request is."""
    client = app.test_client()
    for url in ("http://localhost", "https://localhost"):
        with client.session_transaction(base_url=url) as stored:
            stored[url] = 1
            stored.regenerate()  # type: ignore[attr-defined]
        cookie = client.get_cookie("session")
        assert cookie is not None
        assert cookie.secure is url.startswith("https")


def test_a_transaction_that_clears_the_session_ends_it(app: Flask, store: RecordingStore) -> None:
    """The client's cookie is gone then."""
    client = app.test_client()
    client.get("/put/a/1")
    with client.session_transaction() as stored:
        stored.clear()
    assert client.get_cookie("session") is None
    assert client.get_cookie("sid") is None


def test_the_client_shows_the_session_after_a_request(app: Flask) -> None:
    """While its ``with`` block lasts."""
    with app.test_client() as client:
        client.get("/put/a/1")
        assert session["a"] == "1"
        assert get_flashed_messages() == []
        client.get("/nothing")
        assert session["a"] == "1"


def test_a_request_context_of_a_test_has_a_session(app: Flask, store: RecordingStore) -> None:
    """It costs nothing until it is used, and is saved when the response is processed."""
    with app.test_request_context("/nothing"):
        assert app.full_dispatch_request().headers.get("Vary") is None
        assert store.pop_calls() == []
        assert session.new
        session["a"] = "1"
        response = app.process_response(app.response_class())
    assert response.headers["Vary"] == "Cookie"
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    with app.test_request_context(headers={"Cookie": cookie}):
        assert session["a"] == "1"


def test_a_context_made_of_a_finished_request_has_a_session_of_its_own(app: Flask) -> None:
    """That is how Flask-SocketIO handles events; what it changes is saved."""
    environs: list[dict[str, object]] = []
    app.before_request(lambda: environs.append(flask.request.environ))
    client = app.test_client()
    client.get("/put/a/1")
    client.get("/nothing", buffered=True)
    with app.request_context(environs[-1]):
        session["a"] = "2"
        app.session_interface.save_session(app, session._get_current_object(), app.response_class())
    assert client.get("/get").json == {"a": "2"}


@pytest.mark.parametrize(
    "use",
    [
        lambda: session.get("a"),
        lambda: session.update(a=1),
        lambda: "a" in session,
        lambda: bool(session),
        lambda: session.permanent,
        lambda: flash("message"),
    ],
)
def test_without_a_store_the_use_of_the_session_says_what_to_write(
    use: Callable[[], object],
) -> None:
    """And nothing else fails."""
    app = Flask(__name__)
    app.session_interface = FlaskSessionInterface()
    app.add_url_rule("/", view_func=lambda: "static")
    client = app.test_client()
    assert client.get("/").text == "static"
    refused = pytest.raises(ConfigurationError, match=r"FlaskSessions\(app, store=…\)")
    with client.session_transaction(), app.test_request_context(), refused:
        use()


def test_without_flask_the_import_says_how_to_install_it() -> None:
    """By the extra's name."""
    program = "import sys; sys.modules['flask'] = None; import wsgi_sessions.flask"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'pip install "wsgi-sessions[flask]"' in result.stderr.splitlines()[-1]
