"""A MariaDB server for the tests, on a port and a socket and in a directory of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.postgresql import PASSWORD, new_directory, unprivileged
from tests.servers.process import ServerProcess, free_port, require_program, unavailable

MAX_ALLOWED_PACKET = 2 * 2**20


class MariaDB:
    """The server; every statement is in its log."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.data, self.log = directory / "data", directory / "statements"
        self.socket = directory / "socket"
        self._user = unprivileged("mysql")
        command = [require_program("mariadbd", "mariadb-server", also_in=["usr/sbin/mariadbd"])]
        command += ["--no-defaults", f"--datadir={self.data}", f"--port={self.port}"]
        command += [f"--socket={self.socket}", f"--pid-file={directory}/pid"]
        command += ["--bind-address=127.0.0.1", "--general-log", f"--general-log-file={self.log}"]
        command += [
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=64M",
        ]
        command += [f"--max-allowed-packet={MAX_ALLOWED_PACKET}", "--skip-name-resolve"]
        self.process = ServerProcess(command, log=directory / "log", user=self._user)

    def create(self) -> None:
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        command = [require_program("mariadb-install-db", "mariadb-server"), "--no-defaults"]
        command += [f"--datadir={self.data}", "--skip-test-db"]
        command += ["--auth-root-authentication-method=normal"]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd="/")

    def start(self) -> None:
        self.process.start(self._answer)

    def _answer(self) -> None:
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves one open that is refused
            probe.connect(str(self.socket))
        self.connect().close()

    def crash(self) -> None:
        """End without a good-bye."""
        self.process.kill()

    def signal_all(self, number: int) -> None:
        self.process.signal(number)

    def prepare(self) -> None:
        self.execute("CREATE DATABASE sessions CHARACTER SET utf8mb4")
        self.execute(f"CREATE USER tester@'%' IDENTIFIED BY '{PASSWORD}'")
        self.execute("GRANT ALL ON `%`.* TO tester@'%'")

    def connect(self, database: str | None = None):
        """A connection of PyMySQL's, autocommit, over the Unix socket."""
        import pymysql

        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True
        )

    def execute(self, statement: str, database: str | None = None) -> tuple[tuple, ...]:
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def url(self, database: str = "sessions", *, port: int | None = None, password=PASSWORD) -> str:
        quoted = password.replace(" ", "%20")
        return f"mysql://tester:{quoted}@127.0.0.1:{port or self.port}/{database}"

    def socket_url(self, database: str = "sessions") -> str:
        return f"mariadb://root@localhost/{database}?unix_socket={self.socket}"

    def new_place(self, name: str) -> str:
        """The store's URL for a new and empty database."""
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def statements(self, since: int = 0) -> list[str]:
        """The statements in the log after that many bytes."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if " Query\t" in line]


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """The server for this run of the tests."""
    try:
        import pymysql  # noqa: F401
    except ImportError:
        unavailable("PyMySQL is not installed: pip install PyMySQL")
    directory = new_directory("wsgi-sessions-mariadb-")
    server = MariaDB(directory)
    try:
        server.create()
        server.start()
        server.prepare()
        yield server
    finally:
        server.crash()  # nothing is kept, so nothing need be written
        shutil.rmtree(directory)
