"""The WSGI servers that pip can install, and what each of them cannot do itself."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.served.bodies.raw_client import Connection, Reply
from tests.served.bodies.site import Site
from tests.servers.process import (
    ServerProcess,
    accepts_connections,
    free_port,
    skip_without_servers,
    unavailable,
)
from tests.support.serving import ROOT

APPLICATION = "tests.served.bodies.app:app"
ADDRESS = "127.0.0.1:{port}"


class WSGIServer(NamedTuple):
    """How to start one, on ``{port}``."""

    command: list[str]
    packages: str
    """What pip has to install: names that are imported by the same name."""

    cannot: dict[str, str] = {}
    """Scenarios that fail there without the middleware too, and why."""

    at_times: dict[str, str] = {}
    """Scenarios that fail there only at times, so that no test could show it."""

    compiled: bool = False
    """Whether there are no wheels, so that not every machine can install it."""

    def require(self) -> None:
        """Skip where it is not installed, or fail where every server has to be there."""
        skip_without_servers()
        if any(find_spec(name) is None for name in self.packages.split()):
            reason = f"pip install {self.packages}"
            pytest.skip(reason) if self.compiled else unavailable(reason)


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def gunicorn(*arguments: str) -> list[str]:
    quiet = ("--log-level", "warning", "--no-control-socket", "--graceful-timeout", "10")
    return module("gunicorn", "--bind", ADDRESS, *quiet, *arguments, APPLICATION)


def launched(name: str) -> list[str]:
    return module("tests.served.bodies.launch", name, "{port}")


def because(reason: str, *scenarios: str) -> dict[str, str]:
    return dict.fromkeys(scenarios, reason)


WRITES = because(
    "start_response() returns no write()",
    *("write", "write_then_iterable", "a_save_that_fails_at_write"),
)
NO_CHUNKS = because(
    "a response without any chunk is an error",
    *("an_empty_generator", "head", "head_of_a_generator", "not_modified", "no_content"),
)
EMPTY_CHUNKS = because(
    "an empty chunk is sent as the last one",
    *("an_empty_chunk", "eight_empty_chunks", "only_empty_chunks"),
    "the_ninth_empty_chunk_waits_for_no_session",
)
EXITS = because(
    "SystemExit ends the process before close()", "an_exit_in_the_middle_closes_the_body_once"
)
RAISES = because(
    "close() is not called when the body has raised",
    "a_restart_after_the_headers_closes_the_body_once",
    "a_raise_in_the_middle_closes_the_body_once",
    "an_abort_in_the_middle_closes_the_body_once",
    "an_exit_in_the_middle_closes_the_body_once",
)
CLOSES = RAISES | because(
    "close() is never called",
    *("a_file_is_closed_once", "a_body_is_closed_once"),
    "a_client_that_goes_away_closes_the_body_once",
)
ERRORS = because(
    "no reply is sent when the application has raised",
    "a_raise_before_the_body_is_a_servers_error",
    "a_raise_before_the_first_chunk_is_a_servers_error",
    "an_unsupported_value_is_a_servers_error",
    "a_value_too_large_is_a_servers_error",
    "a_bug_in_a_store_is_a_servers_error",
    "a_bug_in_a_store_at_the_first_chunk_is_a_servers_error",
)


SERVERS = {
    "gunicorn_sync": WSGIServer(gunicorn(), "gunicorn"),
    "gunicorn_gthread": WSGIServer(gunicorn("--threads", "4"), "gunicorn"),
    "gunicorn_gevent": WSGIServer(gunicorn("-k", "gevent"), "gunicorn gevent"),
    "waitress": WSGIServer(launched("waitress"), "waitress"),
    "wsgiref": WSGIServer(launched("wsgiref"), ""),
    "werkzeug": WSGIServer(launched("werkzeug"), "werkzeug"),
    "gevent": WSGIServer(launched("gevent"), "gevent"),
    "cheroot": WSGIServer(
        launched("cheroot"),
        "cheroot",
        because(
            "a restart adds its headers to those before",
            "a_restart_after_our_commit_sends_our_headers_again",
        ),
    ),
    "granian": WSGIServer(
        [*module("granian", "--interface", "wsgi", "--port", "{port}"), APPLICATION],
        "granian",
        WRITES,
    ),
    "hypercorn": WSGIServer(
        module("hypercorn", "--bind", ADDRESS, APPLICATION), "hypercorn", WRITES | NO_CHUNKS
    ),
    "uvicorn_a2wsgi": WSGIServer(launched("uvicorn_a2wsgi"), "uvicorn a2wsgi"),
    "uvicorn_asgiref": WSGIServer(
        launched("uvicorn_asgiref"), "uvicorn asgiref", WRITES | CLOSES
    ),
    "tornado": WSGIServer(
        launched("tornado"),
        "tornado",
        ERRORS | because("the whole body is collected", "a_stream_is_not_held_back"),
    ),
    "twisted": WSGIServer(launched("twisted"), "twisted", RAISES),
    "pyruvate": WSGIServer(
        launched("pyruvate"),
        "pyruvate",
        WRITES | CLOSES,
        at_times=because(
            "a body whose client has gone away is kept, neither exhausted nor closed",
            "a_client_that_goes_away_ends_a_generator_once",
        ),
    ),
    "eventlet": WSGIServer(launched("eventlet"), "eventlet"),
    "uwsgi": WSGIServer(
        [
            str(Path(sys.executable).with_name("uwsgi")),
            *("--http-socket", ADDRESS, "--module", APPLICATION, "--master", "--threads", "4"),
            *("--need-app", "--die-on-term", "--wsgi-accept-buffers"),
        ],
        "pyuwsgi",
        EXITS | ERRORS,
    ),
    "bjoern": WSGIServer(launched("bjoern"), "bjoern", WRITES | EXITS, compiled=True),
    "meinheld": WSGIServer(
        launched("meinheld"), "meinheld greenlet", WRITES | EMPTY_CHUNKS | RAISES, compiled=True
    ),
}  # fmt: skip


class ServedSite(Site):
    """The application on a server, which is started when it is needed."""

    def __init__(self, server: WSGIServer, directory: Path, *, bare: bool = False) -> None:
        super().__init__(directory, bare=bare)
        self._server, self.cannot = server, server.cannot
        self._process: ServerProcess | None = None
        self._port = 0

    def start(self) -> int:
        """The port at which it listens."""
        if self._process is None:
            self._port = free_port()
            environment = {"BODIES_DIRECTORY": str(self.directory), "PYTHONPATH": str(ROOT)}
            if self.bare:
                environment |= {"BODIES_BARE": "1", "BODIES_PATIENCE": "3"}
            self._process = ServerProcess(
                [part.format(port=self._port) for part in self._server.command],
                log=self.directory / "server.log",
                env=os.environ | environment,
                cwd=str(self.directory),
            )
            self._process.start(lambda: accepts_connections(self._port))
        return self._port

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def connect(self, path: str, cookie: str = "") -> Connection:
        return self._connection(path, "GET", cookie)

    def fetch(self, path: str, method: str, cookie: str) -> Reply:
        with self._connection(path, method, cookie) as connection:
            return connection.read()

    def _connection(self, path: str, method: str, cookie: str) -> Connection:
        port = self.start()
        return Connection(port, path, method=method, cookie=cookie, timeout=self.seconds)
