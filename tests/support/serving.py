"""An application under a real gunicorn."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    server = ServerProcess(
        command, log=directory / "gunicorn.log", env=os.environ | environment, cwd=str(directory)
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
