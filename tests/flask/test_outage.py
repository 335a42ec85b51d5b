"""A store that fails while a view runs: 503, unless the application says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import flask
import pytest
from flask import Flask, session
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.test import TestResponse

from tests.support.flask_apps import WAYS, give_sessions
from tests.support.recording import RecordingStore
from wsgi_sessions import SessionError, StoreError, StoreUnavailable


@pytest.fixture(params=WAYS)
def app(request: pytest.FixtureRequest, store: RecordingStore) -> Flask:
    """An application whose page reads the session, made in each of the two ways."""
    app = Flask("application")

    @app.get("/")
    def page() -> str:
        session["x"] = session.get("x", 0) + 1
        return "fine"

    @app.get("/static-page")
    def untouched() -> str:
        return "fine"

    give_sessions(app, request.param, store)
    return app


def outage(app: Flask, store: RecordingStore) -> TestResponse:
    """What a visitor gets whose session cannot be read."""
    client = app.test_client()
    client.get("/")
    store.failing = {"load"}
    return client.get("/")


@pytest.mark.parametrize("propagate", [True, False, None])
@pytest.mark.parametrize("testing", [True, False])
def test_a_read_that_fails_is_a_503_with_retry_after(
    app: Flask, store: RecordingStore, propagate: bool | None, testing: bool
) -> None:
    app.config.update(PROPAGATE_EXCEPTIONS=propagate, TESTING=testing)
    response = outage(app, store)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert response.data == b"Service Unavailable\n"


def test_a_page_that_does_not_touch_the_session_stays_up(app: Flask, store: RecordingStore) -> None:
    assert outage(app, store).status_code == 503
    assert app.test_client().get("/static-page").data == b"fine"


@pytest.mark.parametrize(
    "kind", [StoreUnavailable, StoreError, SessionError, Exception, 500, InternalServerError]
)
@pytest.mark.parametrize("of_blueprint", [False, True])
def test_an_error_handler_of_the_application_comes_first(
    app: Flask, store: RecordingStore, kind: type[Exception] | int, of_blueprint: bool
) -> None:
    """For the exception, its parents and the 500 it would be."""
    if of_blueprint:
        blueprint = flask.Blueprint("part", __name__)
        blueprint.register_error_handler(kind, lambda error: ("ours", 500))
        blueprint.add_url_rule("/part", view_func=lambda: str(session.get("x")))
        app.register_blueprint(blueprint)
    else:
        app.register_error_handler(kind, lambda error: ("ours", 500))
    client = app.test_client()
    client.get("/")
    store.failing = {"load"}
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.get("/part" if of_blueprint else "/").data == b"ours"


@pytest.mark.parametrize("kind", [503, ServiceUnavailable])
def test_a_handler_for_503_makes_the_page(
    app: Flask, store: RecordingStore, kind: type[Exception] | int
) -> None:
    app.register_error_handler(kind, lambda error: ("back soon", 503))
    response = outage(app, store)
    assert (response.status_code, response.data) == (503, b"back soon")
    assert response.headers["Retry-After"] == "1"


def test_a_handler_for_every_http_error_makes_the_page(app: Flask, store: RecordingStore) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(HTTPException, lambda error: (error.name, error.code))
    assert outage(app, store).status_code == 500


def test_what_listens_for_exceptions_hears_of_the_outage(app: Flask, store: RecordingStore) -> None:
    heard: list[Exception] = []
    hear: Callable[..., None] = lambda sender, exception, **more: heard.append(exception)  # noqa: E731
    with flask.got_request_exception.connected_to(hear, app):
        outage(app, store)
    assert [type(error) for error in heard] == [StoreUnavailable]


def test_another_exception_is_flasks_own_business(app: Flask) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/bug", view_func=lambda: {}["missing"])
    assert app.test_client().get("/bug").status_code == 500
