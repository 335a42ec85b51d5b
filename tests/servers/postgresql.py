"""A PostgreSQL server for the tests, on a port and a socket and in a directory of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers.process import (
    ServerProcess,
    free_port,
    require_program,
    unavailable,
    wait_until_stopped,
)

PASSWORD = "correct horse"  # has a space, so that URLs have to quote it


def unprivileged(name: str) -> str | None:
    """Whom the server runs as: PostgreSQL refuses root. ``None``: whoever runs the tests."""
    if os.getuid() != 0:
        return None
    return name if any(user.pw_name == name for user in pwd.getpwall()) else "nobody"


def new_directory(prefix: str) -> Path:
    """In memory where there is room, since databases wait for disks."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else None))


class PostgreSQL:
    """The server; every statement is in its log."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.data, self.log = directory / "data", directory / "log"
        self._user = unprivileged("postgres")
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": directory,
            "fsync": "off",
            "log_statement": "all",
            "max_connections": 150,
            "dynamic_shared_memory_type": "mmap",  # files outside would survive a crash
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            [self._program("postgres"), "-D", str(self.data), *settings],
            log=self.log,
            user=self._user,
        )

    def _program(self, name: str) -> str:
        return require_program(name, "postgresql", also_in=["usr/lib/postgresql/*/bin/" + name])

    def create(self) -> None:
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        command = [self._program("initdb"), "-D", str(self.data), "-U", "tester", "-E", "UTF8"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]
        command += ["--locale=C", f"--pwfile={password}"]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd="/")

    def start(self) -> None:
        self._process.start(lambda: self.connect().close())

    def crash(self) -> None:
        """End without a checkpoint or a good-bye, as "immediate shutdown" does."""
        self._process.signal(signal.SIGCONT)
        self._process.signal(signal.SIGQUIT)
        self._process.wait()

    def signal_all(self, number: int) -> None:
        """Send a signal to the server's parent and to each of its children."""
        assert self._process.process is not None
        parent = self._process.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in [parent, *map(int, children)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                if number == signal.SIGSTOP:
                    wait_until_stopped(pid)

    def connect(self):
        """A connection of psycopg's, autocommit, over the Unix socket."""
        import psycopg

        return psycopg.connect(
            host=str(self.directory),
            port=self.port,
            user="tester",
            dbname="postgres",
            autocommit=True,
        )

    def execute(self, statement: str) -> list[tuple]:
        with self.connect() as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str = "postgres", *, port: int | None = None, password=PASSWORD) -> str:
        quoted = password.replace(" ", "%20")
        return f"postgresql://tester:{quoted}@127.0.0.1:{port or self.port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        return f"postgresql://tester@/{database}?host={self.directory}&port={self.port}"

    def new_place(self, name: str) -> str:
        """The store's URL for a new and empty schema."""
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?schema={name}"

    def statements(self, since: int = 0) -> list[str]:
        """The statements in the log after that many bytes."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode().splitlines()
        return [line for line in lines if " LOG:  statement: " in line or " LOG:  execute " in line]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """The server for this run of the tests."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        unavailable('psycopg is not installed: pip install "psycopg[binary]"')
    directory = new_directory("wsgi-sessions-postgresql-")
    server = PostgreSQL(directory)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.crash()  # nothing is kept, so nothing need be written
        shutil.rmtree(directory)
