"""MongoDB for the tests: ``WSGI_SESSIONS_MONGODB_URL``, or ``mongod``, or FerretDB.

FerretDB 1 speaks MongoDB's wire protocol and keeps its data in SQLite. It is built from its Go
module once, which takes a minute, and kept in the user's cache directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.servers.process import (
    ServerProcess,
    accepts_connections,
    free_port,
    skip_without_servers,
    unavailable,
)

FERRETDB = Path(__file__).parent / "ferretdb"
URL = os.environ.get("WSGI_SESSIONS_MONGODB_URL")


class MongoDBServer(ServerProcess):
    """A server of our own, on a free port; what it holds survives :meth:`restart`."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        super().__init__(_command(self.port, directory), log=directory / "log")

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def restart(self) -> None:
        self.start(lambda: accepts_connections(self.port))


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDBServer]:
    """A server that may be stopped and killed; whoever does that restarts it."""
    server = MongoDBServer(tmp_path_factory.mktemp("mongodb"))
    server.restart()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongodb_url(request: pytest.FixtureRequest) -> str:
    """The server to test with, without a path: somebody else's if the environment names one."""
    return URL or request.getfixturevalue("mongodb_server").url


@pytest.fixture
def mongodb(mongodb_url: str) -> Iterator[MongoClient]:
    """A client of the test's own."""
    with MongoClient(mongodb_url) as client:
        yield client


def _command(port: int, directory: Path) -> list[str]:
    skip_without_servers()
    if program := shutil.which("mongod"):
        return [program, "--port", str(port), "--dbpath", str(directory), "--bind_ip", "127.0.0.1"]
    return [str(_ferretdb()), "-listen", f"127.0.0.1:{port}", "-directory", str(directory)]


def _ferretdb() -> Path:
    """The program, built unless it is there already."""
    sources = sorted(FERRETDB.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsgi-sessions-tests"
    program = cache / f"ferretdb-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "ferretdb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        unavailable("neither mongod nor Go (1.22 or newer, to build FerretDB) is installed")
    print(f"building {program}, which takes a minute", file=sys.stderr)
    unfinished = program.with_suffix(".unfinished")
    result = subprocess.run(
        [go, "build", "-trimpath", "-tags=ferretdb_no_postgresql", "-o", unfinished, "."],
        cwd=FERRETDB,
        env={
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        unavailable(f"FerretDB cannot be built: {result.stderr[-2000:]}")
    unfinished.replace(program)
