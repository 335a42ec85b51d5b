"""An application under a real server, and who visits it."""

from __future__ import annotations

import http.cookiejar
import os
import signal
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Self

from tests.servers.process import (
    ServerProcess,
    accepts_connections,
    free_port,
    wait_until_stopped,
)

ROOT = Path(__file__).parents[2]


@contextmanager
def gunicorn(
    application: str, directory: Path, *arguments: str, **environment: str
) -> Iterator[str]:
    """The URL at which gunicorn serves *application* (``module:name``), run in *directory*."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
        *("--chdir", str(directory), "--pythonpath", str(ROOT), "--log-level", "warning"),
        *("--no-control-socket",),
        *arguments,
        application,
    ]
    with running(command, port, directory, **environment) as url:
        yield url


@contextmanager
def running(command: list[str], port: int, directory: Path, **environment: str) -> Iterator[str]:
    """The URL of the server that *command*, run in *directory*, starts on *port*."""
    server = ServerProcess(
        command, log=directory / "server.log", env=os.environ | environment, cwd=str(directory)
    )
    server.start(lambda: accepts_connections(port))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@contextmanager
def asleep(worker: int) -> Iterator[None]:
    """Let the other workers answer what is asked meanwhile: which one would is for the kernel to
    choose, and it may always choose the same."""
    os.kill(worker, signal.SIGSTOP)
    wait_until_stopped(worker)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


class Browser:
    """A visitor with a cookie jar; every request is a new connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar), urllib.request.ProxyHandler({})
        )

    def get(self, path: str) -> str:
        return self._open(path, None)

    def post(self, path: str, **form: str) -> str:
        return self._open(path, urllib.parse.urlencode(form).encode())

    def twin(self) -> Self:
        """Another one with the same cookies."""
        twin = type(self)(self.url)
        for cookie in self.jar:
            twin.jar.set_cookie(cookie)
        return twin

    def note(self, response: HTTPResponse) -> None:
        """For what a test wants to know of each response."""

    def _open(self, path: str, data: bytes | None) -> str:
        with self._opener.open(self.url + path, data) as response:
            self.note(response)
            return str(response.read().decode())
