"""What an outage leaves in the log of a worker: one line a second, whatever the store is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cases.test_what_cannot_be_written import PLACES
from tests.servers.proxy import FaultProxy
from tests.support.patience import SECONDS
from tests.support.serving import gunicorn
from tests.support.store_urls import STORE_URLS

APPLICATION = """
import os
from wsgi_sessions import SessionMiddleware

def app(environ, start_response):
    session, what = environ["wsgi.session"], environ["PATH_INFO"]
    if what == "/save":
        session["at"] = os.urandom(4)
    elif what == "/login":
        session.login(os.urandom(4).hex())
    else:
        session.get("at")
    start_response("200 OK", [])
    return [b"here"]

app = SessionMiddleware(app, os.environ["STORE"], secret="the signing secret of the tests")
"""
VISITORS, REQUESTS = 4, 30
PAGES = ("/read", "/save", "/login")
SERVERS = [name for name in STORE_URLS if name not in ("sqlite", "file")]
REFUSALS = ["sqlite, refusing", "postgresql, full"]


@contextmanager
def refusing(proxy: FaultProxy) -> Iterator[None]:
    proxy.refuse()
    try:
        yield
    finally:
        proxy.restore()


@pytest.mark.parametrize("name", [*SERVERS, *REFUSALS])
def test_an_outage_has_one_line_a_second(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """For pages that read, save and log in together; and no traceback. A breaker that opens and
    closes has a line of its own."""
    (tmp_path / "application.py").write_text(APPLICATION)
    if name in PLACES:
        url, failing = PLACES[name](request)
    else:
        url = STORE_URLS[name](request).replace(f"timeout={SECONDS}", "timeout=2")
        port = int(re.findall(r":(\d{4,5})\b", url)[0])
        proxy = FaultProxy(port)
        request.addfinalizer(proxy.close)
        url, failing = url.replace(f":{port}", f":{proxy.port}", 1), lambda: refusing(proxy)
    arguments = ["-w", "1", "-k", "gthread", "--threads", str(VISITORS)]
    with gunicorn("application:app", tmp_path, *arguments, STORE=url) as site:

        def get(path: str, cookie: str = "") -> tuple[int, str]:
            connection = HTTPConnection(site.removeprefix("http://"), timeout=60)
            connection.request("GET", path, headers={"Cookie": cookie})
            response = connection.getresponse()
            response.read()
            connection.close()
            return response.status, (response.getheader("Set-Cookie") or "").partition(";")[0]

        cookies = [get("/save")[1] for _ in range(VISITORS)]
        log = tmp_path / "server.log"
        before = len(log.read_text().splitlines())
        started = time.monotonic()
        with failing(), ThreadPoolExecutor(VISITORS) as pool:

            def visit(cookie: str) -> set[int]:
                return {get(PAGES[number % 3], cookie)[0] for number in range(REQUESTS)}

            seen = set().union(*pool.map(visit, cookies))
        seconds = time.monotonic() - started
    assert seen - {200} == {503}
    lines = [line for line in log.read_text().splitlines()[before:] if "times in" not in line]
    assert 1 <= len([line for line in lines if "answers again" not in line]) <= seconds + 2, lines
    assert not [line for line in lines if "Traceback" in line]
