"""``flask.session`` is the session of the middleware, in all that Flask does with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import flask
import pytest
from flask import Flask, flash, session
from markupsafe import Markup

from tests.support.flask_apps import WAYS, give_sessions, keeping
from tests.support.recording import RecordingStore
from wsgi_sessions import (
    Session,
    SessionClosed,
    StoreError,
)
from wsgi_sessions.testing import ManualClock

Wrap = Callable[[Flask], None]


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, store: RecordingStore, clock: ManualClock) -> Flask:
    """An application with sessions, made in each of the two ways."""
    app = keeping()
    give_sessions(app, request.param, store, clock=clock)
    return app


# The object and what it costs


def test_the_proxy_stands_for_the_object_in_the_environ(app: Flask) -> None:
    """Not for a copy of it."""

    @app.get("/")
    def index() -> str:
        assert session._get_current_object() is flask.request.environ["wsgi.session"]
        assert isinstance(session._get_current_object(), Session)
        return "same"

    assert app.test_client().get("/").text == "same"


def test_an_untouched_session_costs_nothing(app: Flask, store: RecordingStore) -> None:
    """No store call and no header, with and without a cookie."""
    client = app.test_client()
    for _ in range(2):
        store.pop_calls()
        response = client.get("/nothing")
        assert store.pop_calls() == []
        assert {"Vary", "Set-Cookie", "Cache-Control"}.isdisjoint(response.headers.keys())
        client.get("/put/a/1")


def test_a_request_pays_for_what_it_touches(app: Flask, store: RecordingStore) -> None:
    """One round trip to make or to read a session, one more to change it."""
    client = app.test_client()
    client.get("/put/a/1")
    assert store.pop_calls() == ["load", "save", "save"]  # first the key's hint, once a process
    app.test_client().get("/put/a/1")
    assert store.pop_calls() == ["save"]
    assert client.get("/get").json == {"a": "1"}
    assert store.pop_calls() == ["load"]
    client.get("/put/a/2")
    assert store.pop_calls() == ["load", "save"]


def test_a_change_inside_a_value_is_noticed(app: Flask) -> None:
    """Without ``session.modified``."""
    client = app.test_client()
    assert [client.get(f"/add/{item}").text for item in "abc"] == ["a", "a,b", "a,b,c"]


def test_the_attributes_that_flask_documents(app: Flask) -> None:
    """``new``, ``modified``, ``accessed`` and ``permanent``."""

    @app.get("/")
    def index() -> dict[str, bool]:
        raw = flask.request.environ["wsgi.session"]
        before = raw.accessed, raw.modified
        new = session.new
        session["n"] = session.get("n", 0) + 1
        session.permanent = True
        return {
            "untouched": before == (False, False),
            "touched": raw.accessed and raw.modified,
            "new": new,
            "permanent": session.permanent,
        }

    client = app.test_client()
    first, second = client.get("/"), client.get("/")
    assert first.json == {"untouched": True, "touched": True, "new": True, "permanent": True}
    assert second.json == {**first.json, "new": False}
    assert "Max-Age=2678400" in first.headers["Set-Cookie"]


def test_marking_it_modified_writes_nothing_that_is_stored(
    app: Flask, store: RecordingStore
) -> None:
    """As Flask-Principal does in every request; what changed is noticed without it."""

    @app.get("/touch")
    def touch() -> str:
        session.modified = True
        return ""

    client = app.test_client()
    client.get("/put/a/1")
    store.pop_calls()
    client.get("/touch")
    assert store.pop_calls() == ["load"]


# Requests in all their parts


def test_a_sid_that_is_assigned_is_not_taken_but_changes(app: Flask) -> None:
    """As programs for Flask-Session regenerate a session."""

    @app.get("/change")
    def change() -> str:
        session.sid = chosen  # type: ignore[attr-defined]
        return session.sid  # type: ignore[attr-defined, no-any-return]

    chosen = "A" * 44
    client = app.test_client()
    client.get("/put/a/1")
    before = client.get_cookie("session")
    assert before is not None
    sid = client.get("/change").text
    after = client.get_cookie("session")
    assert after is not None
    assert sid != chosen
    assert after.value.startswith(sid)
    assert client.get("/get").json == {"a": "1"}
    client.set_cookie("session", before.value)
    assert client.get("/get").json == {}


def test_what_is_said_to_be_unmodified_is_not_saved(app: Flask, store: RecordingStore) -> None:
    """As with Flask's own session: a logout and a new session neither; unless more is changed."""

    @app.get("/<what>")
    def unmodified(what: str) -> str:
        session[what] = 1
        if what == "clear":
            session.clear()
        if what == "invalidate":
            session.invalidate()  # type: ignore[attr-defined]
        if what == "inside":
            session["cart"].append(1)
        session.modified = False
        if what == "later":
            session["last"] = 1
        return ",".join(session)

    client = app.test_client()
    response = client.get("/first")
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"
    client.get("/add/1")
    store.pop_calls()
    for what in ("poll", "clear", "invalidate", "inside", "later"):
        client.get(f"/{what}")
    assert store.pop_calls() == ["load"] * 5 + ["save"]
    assert client.get("/get").json == {"cart": ["1"], "later": 1, "last": 1}


def test_flash_keeps_markup(app: Flask) -> None:
    """Messages come out once, in their order, and what was safe HTML still is."""

    @app.get("/flash")
    def make() -> str:
        flash("<b>plain</b>")
        flash(Markup("<b>safe</b>"), "info")
        return ""

    @app.get("/show")
    def show() -> str:
        page = "{% for m in get_flashed_messages() %}{{ m }};{% endfor %}"
        return flask.render_template_string(page)

    client = app.test_client()
    client.get("/flash")
    assert client.get("/show").text == "&lt;b&gt;plain&lt;/b&gt;;<b>safe</b>;"
    assert client.get("/show").text == ""


def test_functions_around_the_view_share_the_session(app: Flask) -> None:
    """Before and after the request, in blueprints too; what they put in is saved."""
    blueprint = flask.Blueprint("inside", __name__)

    @app.before_request
    def before() -> None:
        session["steps"] = ["before"]

    @blueprint.before_request
    def before_in_blueprint() -> None:
        session["steps"].append("blueprint")

    @blueprint.get("/inside")
    def view() -> str:
        session["steps"].append("view")
        return ""

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        session["steps"].append("after")
        return response

    app.register_blueprint(blueprint)
    client = app.test_client()
    client.get("/inside")
    with client.session_transaction() as stored:
        assert stored["steps"] == ["before", "blueprint", "view", "after"]


def test_an_error_handler_uses_the_session(app: Flask) -> None:
    """What the failed view and the handler put in is saved: the handler answered the request."""

    @app.get("/fail")
    def fail() -> str:
        session["view"] = 1
        raise LookupError

    @app.errorhandler(LookupError)
    def handle(_error: LookupError) -> tuple[str, int]:
        session["handler"] = 2
        return "handled", 500

    client = app.test_client()
    assert client.get("/fail").text == "handled"
    assert client.get("/get").json == {"view": 1, "handler": 2}


def test_a_view_that_fails_saves_nothing(app: Flask, store: RecordingStore) -> None:
    """Where no handler answers and the exception reaches the server."""

    @app.get("/fail")
    def fail() -> str:
        session["view"] = 1
        raise LookupError

    with pytest.raises(LookupError):
        app.test_client().get("/fail")
    assert store.pop_calls() == []


def test_teardown_shares_the_session(app: Flask) -> None:
    """It comes before the middleware's commit, so that what it puts in is saved too."""

    @app.teardown_request
    def teardown(_error: BaseException | None) -> None:
        session["torn down"] = True

    client = app.test_client()
    client.get("/put/a/1")
    assert client.get("/get").json == {"a": "1", "torn down": True}


@pytest.mark.parametrize("exists", [True, False])
def test_a_stream_has_the_session(app: Flask, exists: bool) -> None:
    """It reads and changes one that exists; it cannot begin one, since that needs a cookie."""
    refused: list[Exception] = []

    @app.get("/stream")
    def stream() -> flask.Response:
        @flask.stream_with_context
        def body() -> Iterator[str]:
            yield str(session.get("a"))
            try:
                session["streamed"] = True
            except SessionClosed as error:
                refused.append(error)
            yield "."

        return flask.Response(body())

    client = app.test_client()
    if exists:
        client.get("/put/a/1")
    assert client.get("/stream", buffered=True).text == ("1." if exists else "None.")
    assert client.get("/get").json == ({"a": "1", "streamed": True} if exists else {})
    assert bool(refused) is not exists


def test_a_copied_context_has_the_same_session(app: Flask) -> None:
    """In another thread that the view waits for."""

    @app.get("/work")
    def work() -> str:
        here = session._get_current_object()

        @flask.copy_current_request_context
        def elsewhere() -> None:
            assert session._get_current_object() is here
            session["worked"] = True

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return ""

    client = app.test_client()
    client.get("/work")
    assert client.get("/get").json == {"worked": True}


def test_a_store_that_is_down_reaches_the_error_handler(app: Flask, store: RecordingStore) -> None:
    """Where the view looks at the session; the handler is that for ``StoreError``."""
    app.register_error_handler(StoreError, lambda _error: ("try again", 503))
    client = app.test_client()
    client.get("/put/a/1")
    store.failing = {"load"}
    response = client.get("/get")
    assert (response.status_code, response.text) == (503, "try again")
    assert "Set-Cookie" not in response.headers


def test_a_session_that_cannot_be_saved_is_a_503(app: Flask, store: RecordingStore) -> None:
    """From the middleware: the view is over by then."""
    store.failing = {"save"}
    assert app.test_client().get("/put/a/1").status_code == 503
