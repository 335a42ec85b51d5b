"""pgbouncer for the tests, in front of the PostgreSQL server."""

from __future__ import annotations

import pwd
import shutil
from pathlib import Path

from tests.servers.postgresql import PASSWORD, new_directory
from tests.servers.process import ServerProcess, accepts_connections, free_port, require_program

SERVER_CONNECTIONS = 2
"""Fewer than the clients that a test has."""


class PgBouncer:
    """A pooler of *mode* in front of the server at *port*, with *settings* of its own. It runs
    within a ``with`` statement."""

    def __init__(
        self, port: int, mode: str, *settings: str, server_connections: int = SERVER_CONNECTIONS
    ) -> None:
        self.mode, self.port = mode, free_port()
        self.directory: Path = new_directory("wsgi-sessions-pgbouncer-")
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n"
            f"postgres = host=127.0.0.1 port={port} user=tester password='{PASSWORD}'\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"auth_type = any\nunix_socket_dir =\npool_mode = {mode}\n"
            f"default_pool_size = {server_connections}\n" + "\n".join(settings) + "\n"
        )
        self.directory.chmod(0o755)
        configuration.chmod(0o644)
        user = next((user.pw_name for user in pwd.getpwall() if user.pw_name == "nobody"), None)
        self._process = ServerProcess(
            [require_program("pgbouncer", "pgbouncer"), str(configuration)],
            log=self.directory / "log",
            user=user,
        )

    def __enter__(self) -> PgBouncer:
        self._process.start(lambda: accepts_connections(self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        shutil.rmtree(self.directory)

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"
