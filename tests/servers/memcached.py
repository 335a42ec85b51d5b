"""Memcached for the tests."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from ssl import SSLContext, create_default_context

import pytest

from tests.servers.process import ServerProcess, free_port, require_program
from tests.servers.redis import make_certificates


class MemcachedServer:
    """One memcached on a free port of the loopback, or on a socket. Starts when it is made."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        unix: bool = False,
        tls_context: SSLContext | None = None,
    ) -> None:
        self._tls_context = tls_context
        program = require_program("memcached", "memcached")
        self.port = 0 if unix else free_port()
        self.path = str(directory / "memcached.sock") if unix else ""
        where = ["-s", self.path] if unix else ["-l", "127.0.0.1", "-p", str(self.port)]
        command = [program, *where, "-U", "0", "-u", "root", "-t", "2", *options]
        self._process = ServerProcess(command, log=directory / "memcached.log")
        self.start()

    @property
    def address(self) -> str:
        return self.path or f"127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def client(self) -> Iterator[object]:
        """A pymemcache client of the test's own, to look around with."""
        from pymemcache.client.base import Client

        client = Client(
            self.address,
            default_noreply=False,
            connect_timeout=20,
            timeout=20,
            tls_context=self._tls_context,
        )
        try:
            yield client
        finally:
            client.close()

    def stats(self) -> dict[str, object]:
        with self.client() as client:
            return {name.decode(): value for name, value in client.stats().items()}

    def start(self) -> None:
        self._process.start(self.stats)

    def kill(self) -> None:
        """As a crash does. It has nothing to put in order: asked to stop, it takes a second."""
        self._process.kill()

    def stall(self) -> None:
        """Neither answer nor close anything, until :meth:`go_on`."""
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemcachedServer]:
    """One server for all tests that only store something. Their keys are random."""
    server = MemcachedServer(tmp_path_factory.mktemp("memcached"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def three_memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[MemcachedServer]]:
    """Three more, to spread sessions over."""
    servers = [MemcachedServer(tmp_path_factory.mktemp("memcached")) for _ in range(3)]
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def encrypted_memcached(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[MemcachedServer, Path]]:
    """One that speaks TLS only, and the certificate to trust."""
    directory = tmp_path_factory.mktemp("encrypted")
    key, certificate = make_certificates(directory)
    tls = ("-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}")
    context = create_default_context(cafile=str(certificate))
    server = MemcachedServer(directory, *tls, tls_context=context)
    yield server, certificate
    server.kill()


@pytest.fixture
def start_memcached(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., MemcachedServer]]:
    """Start a server of the test's own, to kill, stop or fill: ``start_memcached("-m", "8")``."""
    with contextlib.ExitStack() as started:

        def start(*options: str, unix: bool = False) -> MemcachedServer:
            directory = tmp_path_factory.mktemp("memcached")
            server = MemcachedServer(directory, *options, unix=unix)
            started.callback(server.kill)
            return server

        yield start
