"""Application factories, several applications, and other middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface
from pyramid.config import Configurator
from pyramid.response import Response
from werkzeug.debug import DebuggedApplication
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from tests.support.flask_apps import SECRET, WAYS, counting, give_sessions, set_cookie
from tests.support.recording import RecordingStore
from wsgi_sessions import ConfigurationError, MemoryStore, SessionMiddleware
from wsgi_sessions.flask import FlaskSessionInterface, FlaskSessions
from wsgi_sessions.pyramid import session_factory
from wsgi_sessions.testing import ManualClock

# Factories


def test_an_application_factory_builds_as_many_as_it_likes() -> None:
    """One extension for all; with the same key and store they share the sessions."""
    sessions = FlaskSessions(store=MemoryStore())

    def create_app() -> Flask:
        app = counting()
        sessions.init_app(app)
        return app

    first, second = create_app(), create_app()
    client = first.test_client()
    client.get("/")
    cookie = client.get_cookie("session")
    assert cookie is not None
    other = second.test_client()
    other.set_cookie("session", cookie.value)
    assert other.get("/").text == "application 2"


def test_two_applications_in_one_process_know_nothing_of_each_other() -> None:
    """Each has its store, its key, and its cookie."""
    one, two = counting("one"), counting("two")
    FlaskSessions(one, store=MemoryStore(), cookie_name="one")
    FlaskSessions(two, store=MemoryStore(), cookie_name="two")
    both = Client(DispatcherMiddleware(one, {"/two": two}))
    answers = [both.get(path).text for path in ("/", "/two/", "/", "/two/")]
    assert answers == ["one 1", "two 1", "one 2", "two 2"]


# Other middleware


def test_applications_under_one_middleware_share_the_session() -> None:
    """However they are wrapped themselves."""
    one, two, three = counting("one"), counting("two"), counting("three")
    two.session_interface = FlaskSessionInterface()
    FlaskSessions(three, store=MemoryStore())
    one.wsgi_app = DispatcherMiddleware(one.wsgi_app, {"/two": two, "/three": three})
    FlaskSessions(one, store=MemoryStore())
    client = one.test_client()
    answers = [client.get(path).text for path in ("/", "/two/", "/three/", "/n")]
    assert answers == ["one 1", "two 2", "three 3", "one 3"]


def test_another_framework_inside_logs_in_by_its_own_keys() -> None:
    """The Flask application around has named no login keys, so those of both count."""
    app, config = counting(), Configurator(settings={})
    config.set_session_factory(session_factory(MemoryStore()))
    config.add_route("login", "/login")
    config.add_view(
        lambda request: request.session.update({"auth.userid": 8}) or Response("in"),
        route_name="login",
    )
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/inside": config.make_wsgi_app()})
    FlaskSessions(app, store=MemoryStore())
    app.add_url_rule("/owner", view_func=lambda: str(session.owner))  # type: ignore[attr-defined]
    client = app.test_client()
    with client.session_transaction() as stored:
        stored["_user_id"] = "7"
    before = client.get_cookie("session")
    assert client.get("/owner").text == "7"
    client.get("/inside/login")
    after = client.get_cookie("session")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert client.get("/owner").text == "8"


def test_applications_with_environ_keys_of_their_own_share_nothing() -> None:
    """Even one inside the other."""
    one, two = counting("one"), counting("two")
    FlaskSessions(two, store=MemoryStore(), cookie_name="two", environ_key="two.session")
    one.wsgi_app = DispatcherMiddleware(one.wsgi_app, {"/two": two})
    FlaskSessions(one, store=MemoryStore(), cookie_name="one", environ_key="one.session")
    client = one.test_client()
    answers = [client.get(path).text for path in ("/", "/two/", "/", "/two/")]
    assert answers == ["one 1", "two 1", "one 2", "two 2"]


def test_the_object_is_found_under_another_environ_key() -> None:
    """``environ_key=`` is told to the interface too."""
    app = counting()
    FlaskSessions(app, store=MemoryStore(), environ_key="mine")
    app.add_url_rule(
        "/same",
        view_func=lambda: str(session._get_current_object() is request.environ["mine"]),
    )
    assert app.test_client().get("/same").text == "True"


@pytest.mark.parametrize("inside", [True, False])
def test_behind_a_proxy_the_cookie_is_secure(inside: bool) -> None:
    """On whichever side of the sessions ``ProxyFix`` stands."""
    app = counting()
    if inside:
        app.wsgi_app = ProxyFix(app.wsgi_app)
    FlaskSessions(app, store=MemoryStore())
    if not inside:
        app.wsgi_app = ProxyFix(app.wsgi_app)
    assert "Secure" in set_cookie(app, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" not in set_cookie(app)


class Around:
    """A middleware as they are often written: it keeps the application and its ``wsgi_app``."""

    def __init__(self, app: Flask) -> None:
        self.app, self.wsgi_app = app, app.wsgi_app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.wsgi_app(environ, start_response)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: ProxyFix(app.wsgi_app),
        lambda app: DispatcherMiddleware(app.wsgi_app, {}),
        lambda app: DebuggedApplication(app.wsgi_app),
        lambda app: Around(app),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_transaction_finds_the_sessions_under_other_middleware(
    wrap: Callable[[Flask], Any], way: str
) -> None:
    """However deep."""
    app = counting()
    give_sessions(app, way, MemoryStore())
    app.wsgi_app = ProxyFix(wrap(app))
    client = app.test_client()
    with client.session_transaction() as stored:
        stored["n"] = 41
    assert client.get("/").text == "application 42"


def test_a_transaction_finds_nothing_where_nothing_is() -> None:
    """Although there is other middleware."""
    app = counting()
    app.wsgi_app = Around(app)
    app.session_interface = FlaskSessionInterface()
    with app.test_client().session_transaction() as stored, pytest.raises(ConfigurationError):
        stored["n"] = 1


def test_an_interface_that_is_replaced_is_not_asked() -> None:
    """Calibre-Web's own needs a request, and there is none when the application starts."""

    class NeedsRequest(SecureCookieSessionInterface):
        def get_cookie_path(self, app: Flask) -> str:
            return request.script_root

    app = counting()
    app.session_interface = NeedsRequest()
    FlaskSessions(app, store=MemoryStore())
    client = app.test_client()
    assert [client.get("/").text[-1] for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize("way", ["extension", "interface"])
def test_a_login_key_is_a_login_in_an_application_that_is_mounted(
    way: str, store: RecordingStore, clock: ManualClock
) -> None:
    """Under a middleware that names no keys: the cookie from before the login is dead."""
    app = Flask("mounted")
    app.config.update(TESTING=True, SECRET_KEY=SECRET)
    if way == "extension":
        FlaskSessions(app, store=MemoryStore())
    else:
        app.session_interface = FlaskSessionInterface()

    @app.get("/put/<key>/<value>")
    def put(key: str, value: str) -> str:
        session[key] = value
        return str(session.owner)  # type: ignore[attr-defined]

    @app.get("/owner")
    def owner() -> str:
        return str(session.owner)  # type: ignore[attr-defined]

    mounted = DispatcherMiddleware(NotFound(), {"/shop": app})
    client = Client(SessionMiddleware(mounted, store, secret=SECRET, clock=clock))
    client.get("/shop/put/cart/pen")
    before = client.get_cookie("sid")
    assert before is not None
    client.get("/shop/put/_user_id/7")
    assert client.get("/shop/owner").text == "7"
    client.set_cookie("sid", before.value)
    assert client.get("/shop/owner").text == "None"
