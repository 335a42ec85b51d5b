"""Nothing is lost and gone is gone with real threads, processes and servers."""

from __future__ import annotations

import http.client
import multiprocessing
import random
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, Jar
from tests.support.every_store import SHARED, STORES
from tests.support.serving import gunicorn
from tests.support.visitor import Visitor
from wsgi_sessions import Session, SessionManager, SessionMiddleware, Store

WORKERS = {"threads": 8, "processes": 4}
TOTAL = 1000
ROUNDS = 200
FEWER = {"mongodb": 10, "dynamodb": 10}
"""By what to divide: the stand-ins for these make one change at a time, in 10 ms."""

Work = Callable[[int], None]


def run_threads(count: int, work: Work) -> None:
    """Run *work* in *count* threads at once; the first error is raised here."""
    with ThreadPoolExecutor(count) as pool:
        for result in [pool.submit(work, number) for number in range(count)]:
            result.result()


def run_processes(count: int, work: Work) -> None:
    """Run *work* in *count* forked processes at once."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work, args=(number,), daemon=True) for number in range(count)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads may be running
        for process in processes:
            process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * count


RUN = {"threads": run_threads, "processes": run_processes}
BARRIER = {"threads": threading.Barrier, "processes": multiprocessing.get_context("fork").Barrier}
EVERYWHERE = [(name, "threads") for name in STORES] + [(name, "processes") for name in SHARED]


@pytest.fixture
def visitor(request: pytest.FixtureRequest, store_name: str) -> Visitor:
    """With a session that has something in it. The clock is a real one: who has to save again waits
    by how long it took, and a slow machine would wear out attempts that seem to take no time."""
    store = STORES[store_name](request, time.time)
    visitor = Visitor(SessionManager(store, secret="secret"))
    with visitor.request() as session:
        session["hits"] = 0
    return visitor


@pytest.mark.parametrize(("store_name", "kind"), EVERYWHERE)
def test_a_thousand_increments_and_a_thousand_keys(
    visitor: Visitor, store_name: str, kind: str
) -> None:
    """Made by all workers at once on one session: all are there."""
    workers, total = WORKERS[kind], TOTAL // FEWER.get(store_name, 1)

    def work(worker: int) -> None:
        mine = visitor.twin()
        for number in range(worker, total, workers):
            with mine.request() as session:
                session.increment("hits")
                session[f"key {number}"] = number

    RUN[kind](workers, work)

    assert visitor.read() == {f"key {number}": number for number in range(total)} | {"hits": total}


@pytest.mark.parametrize(("store_name", "kind"), EVERYWHERE)
def test_two_requests_that_change_different_keys(
    visitor: Visitor, store_name: str, kind: str
) -> None:
    """Held at a barrier until both have loaded: both changes are there, each time."""
    loaded, rounds = BARRIER[kind](2, timeout=60), ROUNDS // FEWER.get(store_name, 1)

    def work(worker: int) -> None:
        mine = visitor.twin()
        for number in range(rounds):
            with mine.request() as session:
                assert f"{worker} {number}" not in session
                loaded.wait()
                session[f"{worker} {number}"] = True

    RUN[kind](2, work)

    there = visitor.read()
    assert there.pop("hits") == 0
    assert there == {f"{worker} {number}": True for worker in (0, 1) for number in range(rounds)}


@pytest.mark.parametrize("ending", ["logout", "login"])
@pytest.mark.parametrize("store_name", STORES)
def test_a_slow_request_is_superseded(
    request: pytest.FixtureRequest, store_name: str, ending: str
) -> None:
    """What it writes is dropped, its response carries no ``Set-Cookie``, and the browser that gets
    it last is logged out, or in, as before."""
    browser, loaded, go_on = superseded_browser(STORES[store_name](request, time.time))
    browser.get("/begin")
    slow = Browser(browser.app, time.time)
    slow.jar = browser.jar.copy()
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(slow.request, "/slow")
        assert loaded.wait(60)
        browser.get(f"/{ending}")
        go_on.set()
        late = response.result()

    assert late.status == 200
    assert late.cookies == []
    assert browser.get("/").text == ("None" if ending == "logout" else "begun")
    assert slow.get("/").text == "None"


def superseded_browser(store: Store) -> tuple[Browser, threading.Event, threading.Event]:
    """A browser at an application of which ``/slow`` loads, says so, and waits for its signal."""
    loaded, go_on = threading.Event(), threading.Event()

    def act(session: Session, action: str) -> None:
        match action:
            case "begin":
                session["state"] = "begun"
            case "login":
                session.login("ann")
            case "logout":
                session.invalidate()
            case "slow":
                assert session["state"] == "begun"
                loaded.set()
                assert go_on.wait(60)
                session["state"] = "brought back"

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        session = environ["wsgi.session"]
        act(session, environ["PATH_INFO"].strip("/"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session.get("state")).encode()]

    app = SessionMiddleware(application, store, secret="secret")
    return Browser(app, time.time), loaded, go_on


# Under a server

CLIENTS = 50
REQUESTS = 40
APPLICATION = """
from tests.support.patience import PATIENT
from wsgi_sessions import SessionMiddleware, SQLiteStore

store = SQLiteStore("sessions.db", timeouts=PATIENT)
store.load("used-before-the-fork")

def app(environ, start_response):
    session = environ["wsgi.session"]
    _, action, canary = environ["PATH_INFO"].split("/")
    if action == "login":
        session.login(canary)
    if action in ("login", "write"):
        session["canary"] = canary
        session["writes"] = session.get("writes", 0) + 1
    if action == "logout":
        session.invalidate()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{session.get('canary')} {session.owner} {session.get('writes')}".encode()]

app = SessionMiddleware(app, store)
"""


class Client:
    """A person with a browser, who knows what the answer has to be."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.canary = url, f"canary{number}"
        self.jar = Jar(lambda: 0.0)
        self.random = random.Random(number)
        self.known, self.owner, self.writes = None, None, None

    def visit(self) -> None:
        """One request of a random kind."""
        action = self.random.choice(["read", "read", "write", "write", "write", "login", "logout"])
        answer = self.get(f"{self.url}/{action}/{self.canary}")
        if action in ("login", "write"):
            self.known, self.writes = self.canary, (self.writes or 0) + 1
            self.owner = self.canary if action == "login" else self.owner
        if action == "logout":
            self.known = self.owner = self.writes = None
        assert answer == f"{self.known} {self.owner} {self.writes}", action

    def get(self, url: str) -> str:
        host, _, path = url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("GET", f"/{path}", headers={"Cookie": self.jar.header_for(url)})
            response = connection.getresponse()
            assert response.status == 200
            for header in response.headers.get_all("Set-Cookie", []):
                assert self.jar.take(url, header)
            return response.read().decode()
        finally:
            connection.close()


def test_nobody_sees_the_session_of_another(tmp_path: Path) -> None:
    """Many clients at once, logging in and out, at a server of threads in processes that were
    forked after the store had been used: each sees its own canary or none."""
    (tmp_path / "application.py").write_text(APPLICATION)
    workers = ("--preload", "--worker-class", "gthread", "--workers", "2", "--threads", "8")

    with gunicorn("application:app", tmp_path, *workers) as url:
        clients = [Client(url, number) for number in range(CLIENTS)]

        def work(number: int) -> None:
            for _ in range(REQUESTS):
                clients[number].visit()

        run_threads(CLIENTS, work)
