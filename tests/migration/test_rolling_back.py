"""What docs/rolling-back.md says: the old library comes back, and its visitors are logged in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask_session import Session
from redis import Redis

from tests.servers.redis import RedisServer
from tests.support.patience import patient_url
from wsgi_sessions.stores import close_store

PAGE = (Path(__file__).parents[2] / "docs" / "rolling-back.md").read_text()
[PROGRAM] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def log_in() -> str:
    session["user"] = "ann"
    return "welcome"


def log_out() -> str:
    session.clear()
    return "bye"


def who() -> str:
    return str(session.get("user", "nobody"))


def with_pages(app: Flask) -> Flask:
    app.add_url_rule("/login", view_func=log_in)
    app.add_url_rule("/logout", view_func=log_out)
    app.add_url_rule("/", view_func=who)
    return app


@pytest.fixture
def old(redis_server: RedisServer) -> Iterator[Flask]:
    with Redis.from_url(redis_server.url) as client:
        app = Flask("old")
        app.config["SESSION_TYPE"] = "redis"
        app.config["SESSION_REDIS"] = client
        app.config["SECRET_KEY"] = "the one you have"
        Session(app)
        yield with_pages(app)


@pytest.fixture
def new(redis_server: RedisServer) -> Iterator[Flask]:
    """The program of the page, at our server, with a place of its own for the new sessions."""
    store = patient_url(f"{redis_server.url}?prefix={secrets.token_hex(4)}:")
    program = PROGRAM.replace("redis://localhost?prefix=sid:", store)
    names: dict[str, Any] = {"__name__": "new"}
    exec(program.replace("redis://localhost", redis_server.url), names)
    app = names["app"]
    assert isinstance(app, Flask)
    yield with_pages(app)
    close_store(app.extensions["wsgi_sessions"].manager.store)


def visit(app: Flask, path: str, jar: dict[str, str]) -> str:
    """What the page says to a browser that keeps its cookies in *jar*."""
    client = app.test_client(use_cookies=False)
    header = "; ".join(f"{name}={value}" for name, value in jar.items())
    response = client.get(path, headers={"Cookie": header} if header else {})
    for line in response.headers.getlist("Set-Cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        jar[name] = value
    return response.text


def test_a_visitor_is_logged_in_there_and_back_again(old: Flask, new: Flask) -> None:
    jar: dict[str, str] = {}
    visit(old, "/login", jar)

    assert visit(new, "/", jar) == "ann"
    assert set(jar) == {"session", "sid"}
    assert visit(new, "/", jar) == "ann"
    assert visit(old, "/", jar) == "ann"


def test_a_logout_in_between_is_final_there_and_undone_by_going_back(
    old: Flask, new: Flask
) -> None:
    jar: dict[str, str] = {}
    visit(old, "/login", jar)
    visit(new, "/", jar)

    visit(new, "/logout", jar)

    assert visit(new, "/", jar) == "nobody"
    assert visit(old, "/", jar) == "ann"
