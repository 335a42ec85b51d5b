"""The WSGI servers that pip can install, and what each of them cannot do itself."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.served.raw_client import Connection, Reply
from tests.served.site import Site
from tests.servers.process import ServerProcess, accepts_connections, free_port
from tests.support.serving import ROOT

APPLICATION = "tests.served.bodies_app:app"
ADDRESS = "127.0.0.1:{port}"


class WSGIServer(NamedTuple):
    """How to start one, on ``{port}``."""

    command: list[str]
    packages: str
    """What pip has to install, each package under the name that is imported or ``name=import``."""

    cannot: dict[str, str] = {}
    """Scenarios that fail there without the middleware too, and why."""

    @property
    def missing(self) -> bool:
        names = [package.rpartition("=")[2] for package in self.packages.split()]
        return any(find_spec(name) is None for name in names)


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def gunicorn(*arguments: str) -> list[str]:
    quiet = ("--log-level", "warning", "--no-control-socket", "--graceful-timeout", "10")
    return module("gunicorn", "--bind", ADDRESS, *quiet, *arguments, APPLICATION)


def launched(name: str) -> list[str]:
    return module("tests.served.launch", name, "{port}")


SERVERS = {
    "gunicorn_sync": WSGIServer(gunicorn(), "gunicorn"),
    "gunicorn_gthread": WSGIServer(gunicorn("--threads", "4"), "gunicorn"),
    "gunicorn_gevent": WSGIServer(gunicorn("-k", "gevent"), "gunicorn gevent"),
    "waitress": WSGIServer(launched("waitress"), "waitress"),
    "wsgiref": WSGIServer(launched("wsgiref"), ""),
    "werkzeug": WSGIServer(launched("werkzeug"), "werkzeug"),
    "gevent": WSGIServer(launched("gevent"), "gevent"),
    "cheroot": WSGIServer(launched("cheroot"), "cheroot"),
    "granian": WSGIServer(
        [*module("granian", "--interface", "wsgi", "--port", "{port}"), APPLICATION],
        "granian",
    ),
    "hypercorn": WSGIServer(
        module("hypercorn", "--bind", ADDRESS, APPLICATION), "hypercorn"
    ),
    "uvicorn_a2wsgi": WSGIServer(launched("uvicorn_a2wsgi"), "uvicorn a2wsgi"),
    "uvicorn_asgiref": WSGIServer(launched("uvicorn_asgiref"), "uvicorn asgiref"),
    "tornado": WSGIServer(launched("tornado"), "tornado"),
    "twisted": WSGIServer(launched("twisted"), "twisted"),
    "pyruvate": WSGIServer(launched("pyruvate"), "pyruvate"),
    "eventlet": WSGIServer(launched("eventlet"), "eventlet"),
    "uwsgi": WSGIServer(
        [
            str(Path(sys.executable).with_name("uwsgi")),
            *("--http-socket", ADDRESS, "--module", APPLICATION, "--master", "--threads", "4"),
            *("--need-app", "--die-on-term", "--wsgi-accept-buffers"),
        ],
        "pyuwsgi",
    ),
    "bjoern": WSGIServer(launched("bjoern"), "bjoern"),
    "meinheld": WSGIServer(launched("meinheld"), "meinheld"),
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
        return Connection(self.start(), path, cookie=cookie)

    def fetch(self, path: str, method: str, cookie: str) -> Reply:
        with Connection(self.start(), path, method=method, cookie=cookie) as connection:
            return connection.read()
