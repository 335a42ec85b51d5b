"""The example of Django under a real gunicorn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import requests

from tests.support.patience import patient_url
from tests.support.serving import gunicorn

WORKERS = ("--preload", "-w", "2", "--threads", "4")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    store = patient_url("sqlite:///sessions.db")
    with gunicorn(
        "examples.django_app:application", tmp_path, *WORKERS, WSGI_SESSIONS_STORE=store
    ) as url:
        yield url


class Browser:
    """A visitor who sends the forms of the page that was shown last."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy of the machine's
        self.page = self.http.get(url).text

    def send(self, form: str, **values: str) -> str:
        [token] = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page))
        data = values | {"csrfmiddlewaretoken": token}
        answer = self.http.post(f"{self._url}/{form}", data=data)
        assert answer.status_code == 200, answer.text
        return answer.text

    def twin(self) -> Browser:
        """Another tab, with the cookies and the page of now."""
        twin = Browser.__new__(Browser)
        twin._url, twin.page, twin.http = self._url, self.page, requests.Session()
        twin.http.trust_env = False
        twin.http.cookies.update(self.http.cookies)
        return twin


def cart_on(page: str) -> dict[str, int]:
    return {item: int(number) for number, item in re.findall(r"<li>(\d+) &times; (\w+)</li>", page)}


def test_the_example_keeps_login_cart_and_messages(url: str) -> None:
    browser = Browser(url)
    browser.page = browser.send("add", item="pen")
    before = browser.http.cookies["sessionid"]
    browser.page = browser.send("login", user="ann")

    assert "You are logged in." in browser.page
    assert "Hello, <b>ann</b>" in browser.page
    assert cart_on(browser.page) == {"pen": 1}
    assert browser.http.cookies["sessionid"] != before

    browser.page = browser.send("logout")

    assert "You are logged out." in browser.page
    assert cart_on(browser.page) == {}
    assert "<b>ann</b>" not in browser.page  # its token may hold any three letters


def test_tabs_that_add_at_once_are_all_counted(url: str) -> None:
    browser = Browser(url)
    browser.page = browser.send("login", user="ann")
    tabs, together = [browser.twin() for _ in range(6)], Barrier(6)

    def add(number: int) -> str:
        together.wait(60)
        return tabs[number].send("add", item=("pen", "book")[number % 2])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(add, range(6)))

    page = browser.http.get(url).text
    assert cart_on(page) == {"pen": 3, "book": 3}
    assert "Hello, <b>ann</b>" in page
