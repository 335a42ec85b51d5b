"""The example application under a real gunicorn, on each server that keeps sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.support.patience import patient_url
from tests.support.serving import Browser, asleep, gunicorn

SERVED = """
import os
from examples.flask_app import app

@app.after_request
def tell_worker(response):
    response.headers["X-Worker"] = str(os.getpid())
    return response
"""
STORES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: "sqlite:///sessions.db",
    "file": lambda request: f"file://{request.getfixturevalue('tmp_path')}/sessions",
    "redis": lambda request: f"{request.getfixturevalue('redis_server').url}?prefix=flask_app:",
    "memcached": lambda request: f"memcached://{request.getfixturevalue('memcached').address}",
    "postgresql": lambda request: request.getfixturevalue("postgresql_server").new_place(
        "flask_app"
    ),
    "mongodb": lambda request: f"{request.getfixturevalue('mongodb_url')}/flask_app",
}


class Visitor(Browser):
    """One that knows which worker has answered."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.workers: list[int] = []

    def note(self, response: HTTPResponse) -> None:
        self.workers.append(int(response.headers["X-Worker"]))

    @property
    def cookie(self) -> str:
        return "".join(str(cookie.value) for cookie in self.jar)


def cart_on(page: str) -> dict[str, int]:
    return {item: int(number) for number, item in re.findall(r"<li>(\d+) &times; (\w+)</li>", page)}


@pytest.mark.parametrize("store", STORES)
def test_the_example_keeps_login_cart_and_messages_across_workers(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """gunicorn with two workers and four threads each."""
    (tmp_path / "served.py").write_text(SERVED)
    environment = {"WSGI_SESSIONS_STORE": patient_url(STORES[store](request))}
    if store == "memcached":
        environment["SECRET_KEY"] = "a memcached server may forget one"
    with gunicorn("served:app", tmp_path, "-w", "2", "--threads", "4", **environment) as url:
        browser = Visitor(url)
        browser.post("/add", item="pen")
        before = browser.cookie
        assert "You are logged in." in browser.post("/login", user="ann")
        assert browser.cookie != before
        for added in range(1, 11):
            with asleep(browser.workers[-1]):
                page = browser.post("/add", item="book")
            assert page.count('class="message"') == 1
            assert "book is in the cart." in page
            assert "Hello, <b>ann</b>" in page
            assert cart_on(page) == {"pen": 1, "book": added}
            assert 'class="message"' not in browser.get("/")
        assert len(set(browser.workers)) == 2
        page = browser.post("/logout")
        assert "You are logged out." in page
        assert "ann" not in page
        assert cart_on(page) == {}


def test_requests_that_overlap_all_find_the_login(tmp_path: Path) -> None:
    """A page and all that it loads, asked for at the same time."""
    (tmp_path / "served.py").write_text(SERVED)
    environment = {"WSGI_SESSIONS_STORE": patient_url("sqlite:///sessions.db")}
    with gunicorn("served:app", tmp_path, "-w", "2", "--threads", "4", **environment) as url:
        browser = Visitor(url)
        browser.post("/login", user="ann")
        with ThreadPoolExecutor(8) as threads:
            pages = list(threads.map(browser.get, ["/"] * 64))
        assert all("Hello, <b>ann</b>" in page for page in pages)
