"""Flask applications for the tests."""

from __future__ import annotations

from typing import Any

from flask import Flask, session

from wsgi_sessions import SessionMiddleware, Store
from wsgi_sessions.flask import FlaskSessionInterface, FlaskSessions

SECRET = "the secret key of the tests"
WAYS = ["FlaskSessions", "by hand"]
"""The two ways to give an application sessions."""


def give_sessions(app: Flask, way: str, store: Store, **options: Any) -> None:
    if way == "FlaskSessions":
        FlaskSessions(app, store=store, **options)
    else:
        options = {"secret": app.secret_key, "cookie_name": "session"} | options
        app.wsgi_app = SessionMiddleware(app.wsgi_app, store=store, **options)
        app.session_interface = FlaskSessionInterface()


def keeping() -> Flask:
    """An application that puts what it is told into its session, and shows it."""
    app = Flask("application")
    app.config.update(TESTING=True, SECRET_KEY=SECRET)

    @app.get("/nothing")
    def nothing() -> str:
        return "nothing"

    @app.get("/put/<key>/<value>")
    def put(key: str, value: str) -> str:
        session[key] = value
        return value

    @app.get("/get")
    def get() -> dict[str, object]:
        return dict(session)

    @app.get("/add/<item>")
    def add(item: str) -> str:
        session.setdefault("cart", []).append(item)
        return ",".join(session["cart"])

    return app


def counting(name: str = "application") -> Flask:
    """An application that counts the requests to ``/`` in its session, and reads at ``/n``."""
    app = Flask(name)
    app.config.update(TESTING=True, SECRET_KEY=SECRET)

    @app.get("/")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return f"{name} {session['n']}"

    @app.get("/n")
    def read() -> str:
        return f"{name} {session.get('n')}"

    @app.get("/permanent")
    def permanent() -> str:
        session.permanent = True
        return count()

    return app


def set_cookie(app: Flask, path: str = "/", **options: Any) -> str:
    """The ``Set-Cookie`` that a new visitor gets."""
    return str(app.test_client().get(path, **options).headers["Set-Cookie"])
