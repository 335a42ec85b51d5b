"""The demo as ``make demo`` serves it: two real workers, driven over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.servers.process import ServerProcess, accepts_connections, free_port
from wsgi_sessions.demo.observed import SID

DAY = 86_400


class Demo:
    """One start of it, on a port and in a state directory of its own."""

    def __init__(self, directory: Path, port: int, *command: str) -> None:
        self.port = port
        self.directory = directory
        self.log = directory / "log"
        own = {"HOME": str(directory), "XDG_STATE_HOME": str(directory / "state")}
        self.environ = {**os.environ, **own}
        self.environ.pop("WSGI_SESSIONS_STORE", None)
        module = command or ("wsgi_sessions.demo", "--port", str(port))
        self.command = [sys.executable, "-m", *module]
        self.server = ServerProcess(
            self.command, log=self.log, env=self.environ, cwd=str(directory), start_new_session=True
        )

    def __enter__(self) -> Demo:
        self.server.start(lambda: accepts_connections(self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        self.server.wait(60)
        assert self.server.process is not None
        return int(self.server.process.returncode)


class Visitor:
    """A browser that keeps cookies and follows redirects."""

    def __init__(self, demo: Demo) -> None:
        self.address = f"http://127.0.0.1:{demo.port}"
        self.jar = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.jar))

    def get(self, path: str) -> str:
        return self._open(path, None)

    def send(self, page: str, action: str, **fields: str) -> str:
        """Submit a form of *page*; the page it leads to."""
        return self.post(action, fields, self.token(page))

    def token(self, page: str) -> str:
        found = re.search('name="csrf" value="(.+?)"', self.get(page))
        assert found
        return found[1]

    def post(self, action: str, fields: Mapping[str, str], token: str) -> str:
        return self._open(action, urlencode({**fields, "csrf": token}).encode())

    def cookie_names(self) -> set[str]:
        return {cookie.name for cookie in self.jar}

    def _open(self, path: str, data: bytes | None) -> str:
        with self._opener.open(self.address + path, data, timeout=60) as response:
            text: str = response.read().decode()
        return text


def wait_until_free(port: int) -> None:
    """A worker that had to be killed may hold the port a moment longer than its parent lives."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def workers(page: str) -> set[str]:
    """The processes that a page's panel tells of."""
    return set(re.findall(r"worker (\d+)", page))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo"), free_port()) as demo:
        yield demo


@pytest.fixture
def visitor(demo: Demo) -> Visitor:
    return Visitor(demo)


def test_it_says_where_it_is_and_how_to_stop_it(demo: Demo) -> None:
    """The first thing a terminal shows."""
    Visitor(demo).get("/about")

    assert (
        f"The shop is open at http://127.0.0.1:{demo.port} - Ctrl-C stops it."
        in demo.log.read_text()
    )


def test_a_visit_from_login_to_logout(visitor: Visitor) -> None:
    """Whichever worker answers, the session is there, and in the end it is not."""
    assert "Hello, alice" in visitor.send("/login", "/login", name="alice", password="demo")
    visitor.send("/", "/cart/add", tea="sencha")
    assert 'value="4"' in visitor.send("/cart", "/cart/change", tea="sencha", quantity="4")
    assert "€39.20" in visitor.get("/cart")

    goodbye = visitor.send("/account", "/logout")

    assert "You are logged out" in goodbye
    assert "the session has ended" in goodbye
    assert visitor.cookie_names() == set()
    assert "Your cart is empty" in visitor.get("/cart")


def test_both_workers_count_and_none_is_lost(visitor: Visitor) -> None:
    """Presses of one visitor, eight at a time, until both workers have had some."""
    token, presses, seen = visitor.token("/counter"), 0, set()
    deadline = time.monotonic() + 30

    with ThreadPoolExecutor(8) as pool:
        while len(seen) < 2 and time.monotonic() < deadline:
            pages = pool.map(lambda _: visitor.post("/counter", {}, token), range(40))
            seen |= {pid for page in pages for pid in workers(page)}
            presses += 40

    assert len(seen) == 2
    assert f'<output aria-label="Count">{presses}</output>' in visitor.get("/counter")


def test_an_untouched_page_has_no_store_call_and_no_cookie(visitor: Visitor) -> None:
    """What the panel says of it, and the jar."""
    page = visitor.get("/about")

    assert "<dt>Store calls</dt><dd><strong>0</strong>" in page
    assert "<dt>Session cookie</dt><dd><strong>not sent</strong>" in page
    assert visitor.cookie_names() == set()


@pytest.mark.parametrize(("fields", "kept"), [({"remember": "on"}, True), ({}, False)])
def test_remember_me_is_an_attribute_of_the_cookie(
    visitor: Visitor, fields: dict[str, str], kept: bool
) -> None:
    """31 days with it, until the browser is closed without."""
    visitor.send("/login", "/login", name="alice", password="demo", **fields)

    [cookie] = [cookie for cookie in visitor.jar if cookie.name == SID]
    assert cookie.path == "/"
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    assert cookie.discard is not kept
    assert (cookie.expires is not None) is kept


def test_the_sessions_are_private(demo: Demo, visitor: Visitor) -> None:
    """Nobody else on the host can read them."""
    visitor.get("/login")

    directory = demo.directory / "state" / "wsgi-sessions-demo"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (directory / "sessions.db").exists()


def test_a_second_start_on_the_port_is_refused_at_once(demo: Demo, visitor: Visitor) -> None:
    """One clear line, no retries, and the first goes on."""
    second = subprocess.run(
        demo.command, env=demo.environ, capture_output=True, text=True, timeout=120, check=False
    )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"port {demo.port} is in use" in second.stderr
    assert "About" in visitor.get("/about")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_cleanly_and_can_be_started_again(tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C, by ``kill`` or with its terminal: no traceback, the port is free, logins stay."""
    with Demo(tmp_path, free_port()) as first:
        visitor = Visitor(first)
        visitor.send("/login", "/login", name="alice", password="demo")

        first.server.signal(number)

        assert first.ended() == 0
        assert "Traceback" not in first.log.read_text()
        wait_until_free(first.port)

    with Demo(tmp_path, first.port):
        assert "Hello, alice" in visitor.get("/account")


def test_any_server_can_serve_the_app(tmp_path: Path) -> None:
    """``gunicorn wsgi_sessions.demo:app`` keeps its sessions in the working directory."""
    port = free_port()
    options = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4")

    with Demo(tmp_path, port, "gunicorn", "wsgi_sessions.demo:app", *options) as served:
        visitor = Visitor(served)
        assert "Hello, alice" in visitor.send("/login", "/login", name="alice", password="demo")

    assert (tmp_path / "wsgi-sessions.db").exists()
