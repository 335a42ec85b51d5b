"""Sessions in Flask's own signed cookies go on in a store."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import flask
import itsdangerous
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from markupsafe import Markup

from wsgi_sessions import MemoryStore
from wsgi_sessions.flask import FlaskSessions
from wsgi_sessions.manager.migrate import Reader
from wsgi_sessions.migration import FlaskCookieReader

SECRET = "the secret key of the application"
VALUES = {
    "user": "ä",
    "tuple": (1, "2"),
    "bytes": b"\xff\0",
    "uuid": UUID(int=7),
    "markup": Markup("<b>"),
    "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "nested": {"list": [1, {"deep": (None, True)}]},
    "long": "x" * 500,
    "_user_id": "7",
}


def make_app(secret: Any = SECRET, **config: Any) -> Flask:
    app = Flask("app")
    app.config.update(SECRET_KEY=secret, **config)

    @app.get("/put")
    def put() -> str:
        flask.session.update(VALUES)
        flask.session.permanent = "permanent" in flask.request.args
        flask.flash("kept")
        return "put"

    @app.get("/get")
    def get() -> str:
        assert {key: flask.session.get(key) for key in VALUES} == VALUES
        assert type(flask.session["tuple"]) is tuple
        assert type(flask.session["markup"]) is Markup
        assert flask.get_flashed_messages() == ["kept"]
        return "permanent" if flask.session.permanent else "ordinary"

    @app.get("/logout")
    def logout() -> str:
        flask.session.clear()
        return "logged out"

    @app.get("/user")
    def user() -> str:
        return flask.session.get("user", "nobody")

    return app


def cookie_of(app: Flask, path: str = "/put") -> str:
    return app.test_client().get(path).headers["Set-Cookie"].partition(";")[0].partition("=")[2]


@pytest.mark.parametrize("secret", [SECRET, SECRET.encode()], ids=["str", "bytes"])
@pytest.mark.parametrize("permanent", [False, True])
def test_a_visitor_keeps_session_types_and_flashes(secret: Any, permanent: bool) -> None:
    """Written by Flask, read by ours, and the browser's cookie is replaced."""
    old_cookie = cookie_of(make_app(secret), "/put?permanent" if permanent else "/put")
    app = make_app(secret)
    FlaskSessions(app, MemoryStore(), migrate_from=FlaskCookieReader(secret))
    client = app.test_client()
    client.set_cookie("session", old_cookie)
    response = client.get("/get")
    assert response.text == ("permanent" if permanent else "ordinary")
    assert ("Max-Age" in response.headers["Set-Cookie"]) is permanent
    new_cookie = client.get_cookie("session")
    assert new_cookie is not None
    assert new_cookie.value != old_cookie
    assert client.get("/user").text == "ä"


def test_a_cookie_is_taken_over_once() -> None:
    """After a logout it opens nothing, whoever kept a copy."""
    old_cookie = cookie_of(make_app())
    app = make_app()
    FlaskSessions(app, MemoryStore(), migrate_from=FlaskCookieReader(SECRET))
    client = app.test_client()
    client.set_cookie("session", old_cookie)
    assert client.get("/user").text == "ä"
    client.get("/logout")
    client.set_cookie("session", old_cookie)
    assert client.get("/user").text == "nobody"


def test_another_spelling_of_a_cookie_is_the_same_cookie() -> None:
    """The last character of a signature has bits that do not count: they make no second claim."""
    reader = FlaskCookieReader(SECRET)
    cookie = cookie_of(make_app())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    keys = {reader.key(cookie[:-1] + last) for last in alphabet} - {None}
    assert keys == {reader.key(cookie)}
    assert len([last for last in alphabet if reader.key(cookie[:-1] + last)]) > 1
    padded = reader.key(cookie + "=")
    assert padded in (None, reader.key(cookie))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "a.b.c",
        "....",
        ".eJw.x.y",
        "é",
        itsdangerous.URLSafeTimedSerializer("other", salt="cookie-session").dumps({"user": "x"}),
        itsdangerous.URLSafeTimedSerializer(SECRET, salt="other").dumps({"user": "x"}),
    ],
    ids=range(8),
)
def test_what_flask_has_not_signed_is_no_cookie_of_it(value: str) -> None:
    """It costs no round trip."""
    assert FlaskCookieReader(SECRET).key(value) is None


def test_an_old_cookie_is_too_old() -> None:
    """As for Flask, when ``PERMANENT_SESSION_LIFETIME`` has passed."""
    cookie = cookie_of(make_app())
    reader = FlaskCookieReader(SECRET, lifetime=timedelta(hours=1))
    assert reader.key(cookie) is not None
    with pytest.MonkeyPatch.context() as patch:
        now = time.time()
        patch.setattr(time, "time", lambda: now + 3602)
        assert reader.key(cookie) is None


def test_older_secrets() -> None:
    """``SECRET_KEY_FALLBACKS``."""
    cookie = cookie_of(make_app("older"))
    assert FlaskCookieReader(SECRET).key(cookie) is None
    assert FlaskCookieReader(SECRET, fallback_secrets=["oldest", "older"]).key(cookie) is not None


def test_an_interface_that_signs_differently() -> None:
    """Its salt, digest and key derivation are options."""

    class Interface(SecureCookieSessionInterface):
        salt = "pepper"
        digest_method = staticmethod(hashlib.sha256)
        key_derivation = "django-concat"

    app = make_app()
    app.session_interface = Interface()
    reader = FlaskCookieReader(
        SECRET, salt="pepper", digest_method=hashlib.sha256, key_derivation="django-concat"
    )
    key = reader.key(cookie_of(app))
    assert key is not None
    found = reader.read(key)
    assert found is not None
    assert (found.values["user"], found.owner) == ("ä", "7")


def test_something_else_that_was_signed_like_a_session() -> None:
    """Not a dict: no session."""
    reader: Reader = FlaskCookieReader(SECRET)
    serializer = SecureCookieSessionInterface().get_signing_serializer(make_app())
    assert serializer is not None
    key = reader.key(str(serializer.dumps(["no", "dict"])))
    assert key is not None
    assert reader.read(key) is None
    reader.delete(key)
