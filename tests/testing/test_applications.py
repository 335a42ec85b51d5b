"""What is shipped for tests of applications: cookies of who is logged in, and a look inside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import flask
import flask_login
import pytest
from pyramid.config import Configurator
from webtest import TestApp as WebTestApp
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from wsgi_sessions import (
    ConfigurationError,
    CookieStore,
    MemoryStore,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
)
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.pyramid import session_factory
from wsgi_sessions.testing import FailingStore, logged_in, manager_of, session_of

SECRET = "the signing secret of the tests"


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Says who is logged in, and counts."""
    session = environ["wsgi.session"]
    session["count"] = session.get("count", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(session.owner).encode()]


def plain_site(**options: Any) -> SessionMiddleware:
    return SessionMiddleware(plain, store=MemoryStore(), **{"secret": SECRET, **options})


def flask_site(**options: Any) -> flask.Flask:
    app = flask.Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    FlaskSessions(app, store=MemoryStore(), **options)
    app.add_url_rule("/", view_func=lambda: dict(flask.session))
    return app


def test_the_cookie_is_that_of_a_browser_that_is_logged_in() -> None:
    site = plain_site()
    cookie = logged_in(site, "ann", role="editor")
    response = Client(site, use_cookies=False).get("/", headers={"Cookie": cookie})
    assert response.text == "ann"
    session = session_of(site, cookie)
    assert session.copy() == {"role": "editor", "count": 1}
    assert session.owner == "ann"
    assert not session.permanent


def test_a_cookie_has_two_parts_for_clients_that_keep_cookies() -> None:
    site = plain_site(cookie_name="visitor")
    cookie = logged_in(site, "ann")
    client = Client(site)
    client.set_cookie(*cookie.split("="))
    assert client.get("/").text == "ann"
    assert cookie.startswith("visitor=")


def test_each_login_is_a_device_of_its_own() -> None:
    site = plain_site()
    phone, laptop = logged_in(site, "ann"), logged_in(site, "ann")
    ids = {session_of(site, phone).id, session_of(site, laptop).id}
    assert {info.id for info in manager_of(site).sessions_of("ann")} == ids
    assert len(ids) == 2


def test_session_of_takes_every_form_of_a_cookie() -> None:
    site = plain_site()
    response = Client(site).get("/")
    set_cookie = response.headers["Set-Cookie"]
    value = SimpleCookie(set_cookie)["sid"].value
    for cookie in (set_cookie, value, f"sid={value}", f"theme=dark; sid={value}"):
        assert session_of(site, cookie)["count"] == 1


@pytest.mark.parametrize("cookie", ["", "sid=", "nonsense", "theme=dark", f"sid={'A' * 44}.AAAA.A"])
def test_a_cookie_that_opens_nothing_gives_an_empty_session(cookie: str) -> None:
    session = session_of(plain_site(), cookie)
    assert session.new
    assert session.copy() == {}


def test_what_is_changed_from_outside_is_stored_by_save() -> None:
    site = plain_site()
    cookie = logged_in(site, "ann")
    session_of(site, cookie)["forgotten"] = True
    session = session_of(site, cookie)
    session["kept"] = True
    session.save()
    assert session_of(site, cookie).copy() == {"kept": True}


def test_an_application_sees_what_was_changed_from_outside() -> None:
    """Both ways: a session under the eye of a test is an ordinary one."""
    site = plain_site()
    cookie = logged_in(site, "ann")
    session = session_of(site, cookie)
    session["count"] = 41
    session.save()
    Client(site, use_cookies=False).get("/", headers={"Cookie": cookie})
    assert session_of(site, cookie)["count"] == 42


def test_in_flask_the_first_login_key_gets_the_owner() -> None:
    app = flask_site()
    cookie = logged_in(app, "7")
    client = app.test_client()
    client.set_cookie(*cookie.split("="))
    assert client.get("/").json == {"_user_id": "7"}
    assert session_of(app, cookie).owner == "7"


def test_the_user_of_flask_login_is_the_owner() -> None:
    app = flask_site()
    login_manager = flask_login.LoginManager(app)
    users = {"7": flask_login.UserMixin()}
    login_manager.user_loader(users.get)
    app.add_url_rule("/me", "me", flask_login.login_required(lambda: "in"))
    client = app.test_client()
    assert client.get("/me").status_code == 401
    cookie = logged_in(app, "7")
    client.set_cookie(*cookie.split("="))
    assert client.get("/me").text == "in"


@pytest.mark.parametrize("user", [7, "7", UUID(int=7)], ids=lambda value: type(value).__name__)
def test_a_login_key_among_the_values_stays_as_it_is(user: Any) -> None:
    app = flask_site()
    session = session_of(app, logged_in(app, str(user), user_id=user))
    assert session.copy() == {"user_id": user}
    assert session.owner == str(user)


def test_a_login_key_of_somebody_else_is_refused() -> None:
    app = flask_site()
    with pytest.raises(ValueError, match="user_id names another owner") as refused:
        logged_in(app, "seven", user_id="eight")
    assert "eight" not in str(refused.value)
    assert manager_of(app).sessions_of("seven") == []


def test_an_owner_is_found_by_the_option_of_that_name() -> None:
    app = flask_site(owner=lambda number: f"user-{number}")
    assert session_of(app, logged_in(app, "user-7", user_id=7)).owner == "user-7"


def test_options_that_are_functions_of_the_request_are_given_one() -> None:
    site = plain_site(cookie_domain=lambda environ: environ["HTTP_HOST"] + ".example")
    assert session_of(site, logged_in(site, "ann")).owner == "ann"


def test_a_store_in_the_cookie_needs_no_index() -> None:
    pytest.importorskip("cryptography")
    site = SessionMiddleware(plain, store=CookieStore(), secret=SECRET)
    cookie = logged_in(site, "ann", role="editor")
    assert session_of(site, cookie)["role"] == "editor"


def test_a_store_that_is_down_is_not_a_session_that_is_missing() -> None:
    store = FailingStore()
    manager = SessionManager(store, secret=SECRET)
    cookie = logged_in(manager, "ann")
    session = session_of(manager, cookie)
    with store.stop(), pytest.raises(StoreUnavailable):
        session.get("role")


class Opaque:
    """A middleware that does not show what it wraps."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self._wrapped(environ, start_response)


def wrapped_flask(wrap: Callable[[Any], Any]) -> flask.Flask:
    app = flask_site()
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    return app


def pyramid_site() -> Any:
    with Configurator() as config:
        config.set_session_factory(session_factory(MemoryStore(), secret=SECRET))
        return config.make_wsgi_app()


SITES: dict[str, Callable[[], Any]] = {
    "middleware": plain_site,
    "manager": lambda: SessionManager(MemoryStore(), secret=SECRET),
    "WebTest": lambda: WebTestApp(plain_site()),
    "Werkzeug's client": lambda: Client(plain_site()),
    "middleware around": lambda: ProxyFix(plain_site()),
    "Flask": flask_site,
    "Flask's client": lambda: flask_site().test_client(),
    "Pyramid": pyramid_site,
    "Pyramid's client": lambda: WebTestApp(pyramid_site()),
    "Pyramid's factory": lambda: session_factory(MemoryStore(), secret=SECRET),
    "Flask inside": lambda: wrapped_flask(ProxyFix),
    "Flask inside what shows nothing": lambda: wrapped_flask(Opaque),
}


@pytest.mark.parametrize("make", SITES.values(), ids=SITES)
def test_the_sessions_of_an_application_are_found(make: Callable[[], Any]) -> None:
    site = make()
    cookie = logged_in(site, "ann")
    assert type(cookie) is str  # a server takes nothing else
    assert session_of(site, cookie).owner == "ann"


def test_an_application_without_sessions_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="around this Opaque: hand in the SessionMiddlew"):
        manager_of(Opaque(plain_site()))


def test_what_keeps_flask_from_having_sessions_is_said() -> None:
    app = flask.Flask(__name__)
    FlaskSessions(app, store=CookieStore())
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        manager_of(app)


def test_without_pytest_only_the_contract_suite_is_missing() -> None:
    """For tests by unittest, and for Django's runner."""
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "from wsgi_sessions.testing import FailingStore, ManualClock, logged_in, session_of\n"
        "from wsgi_sessions.testing import StoreContract"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].endswith('pip install "wsgi-sessions[testing]"')
