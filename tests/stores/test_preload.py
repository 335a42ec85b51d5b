"""Every store in a master process before the fork, and in its workers after it."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.process import free_port, unavailable
from tests.support.patience import wait_until
from tests.support.serving import ROOT, gunicorn, running
from tests.support.store_urls import STORE_URLS

EARLY = ("dynamodb", "mongodb")
"""Where gevent has to patch before the application is imported. boto3 prepares TLS for any URL, and
classes of the module ``ssl`` that were imported before gevent patches it do not work after it.
pymongo has weak references to threads, which are dead after a fork, and gevent does not always get
past them."""
PATCH = "from gevent import monkey; monkey.patch_all()\n"

APPLICATION = """
import os
from wsgi_sessions import SessionManager, SessionMiddleware, open_store

store = open_store(os.environ["STORE"])
manager = SessionManager(store, secret="x")
for _ in range(3):                              # connections are open when the workers are forked
    session = manager.open("")
    session["made in"] = "the master"
    manager.commit(session)
    assert store.load(session.id) is not None

def app(environ, start_response):
    session = environ["wsgi.session"]
    visitor = environ["PATH_INFO"]
    before = session.setdefault("visitor", visitor)
    count = session.increment("count")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", str(os.getpid()))])
    return [f"{before} {count}".encode()]

app = SessionMiddleware(app, store, secret="x")
"""
VISITORS, REQUESTS = 8, 50
WORKERS = 4

CONFIGURATION = """
from pathlib import Path

def post_worker_init(worker):
    Path(f"{worker.pid}.ready").touch()
"""
"""gunicorn reads it in the directory where it runs."""


@contextmanager
def uwsgi(directory: Path, **environment: str) -> Iterator[str]:
    """Which forks in C, so that Python's hooks are not called."""
    program = Path(sys.executable).with_name("uwsgi")
    if not program.exists():
        unavailable("uWSGI is not installed: make wsgi-servers")
    port = free_port()
    paths = [part for path in (directory, ROOT, *sys.path) for part in ("--pythonpath", str(path))]
    command = [
        str(program),
        "--http-socket",
        f"127.0.0.1:{port}",
        "--master",
        "--processes",
        str(WORKERS),
    ]
    command += ["--enable-threads", "--die-on-term", "--disable-logging", *paths]
    command += ["--module", "application:app"]
    with running(command, port, directory, **environment) as url:
        yield url


@contextmanager
def served(worker: str, directory: Path, **environment: str) -> Iterator[str]:
    if worker == "uwsgi":
        with uwsgi(directory, **environment) as url:
            yield url
        return
    arguments = ["--preload", "-w", str(WORKERS), "-k", worker]
    if worker == "gthread":
        arguments += ["--threads", "4"]
    (directory / "gunicorn.conf.py").write_text(CONFIGURATION)
    with gunicorn("application:app", directory, *arguments, **environment) as url:
        # A worker that still begins would miss the signal to stop.
        wait_until(lambda: len([*directory.glob("*.ready")]) >= WORKERS, "all workers serve")
        yield url


@pytest.mark.parametrize("worker", ["gthread", "gevent", "uwsgi"])
@pytest.mark.parametrize("name", STORE_URLS)
def test_four_workers_of_a_preloaded_application_keep_visitors_apart(
    name: str, worker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """400 requests of eight visitors at once: each sees its own session, and no request is lost."""
    early = PATCH if worker == "gevent" and name in EARLY else ""
    (tmp_path / "application.py").write_text(early + APPLICATION)
    store = STORE_URLS[name](request)
    with served(worker, tmp_path, STORE=store) as url:
        address = url.removeprefix("http://")

        def visit(visitor: int) -> set[str | None]:
            workers, cookie = set(), ""
            for count in range(1, REQUESTS + 1):
                connection = http.client.HTTPConnection(address, timeout=60)
                connection.request("GET", f"/{visitor}", headers={"Cookie": cookie})
                response = connection.getresponse()
                body = response.read().decode()
                assert (response.status, body) == (200, f"/{visitor} {count}")
                workers.add(response.getheader("X-Worker"))
                cookie = (response.getheader("Set-Cookie") or cookie).partition(";")[0]
                connection.close()
            return workers

        with ThreadPoolExecutor(VISITORS) as pool:
            workers = set().union(*pool.map(visit, range(VISITORS)))
    assert len(workers) > 1
