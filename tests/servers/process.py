"""Start a server process, wait until it answers, stop it again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_CHOICE = os.environ.get("WSGI_SESSIONS_REQUIRE_SERVERS")
REQUIRED = _CHOICE == "1"
LEFT_OUT = _CHOICE == "none"
"""Whether no server is started, installed or not: only what needs none is tested."""


def require_program(name: str, package: str, *, also_in: Sequence[str] = ()) -> str:
    """The path of a server program; without it the test is skipped, in CI it fails."""
    skip_without_servers()
    path = shutil.which(name) or next(
        (str(found) for pattern in also_in for found in sorted(Path("/").glob(pattern))), None
    )
    if path is None:
        unavailable(f"{name} is not installed: sudo apt-get install {package}")
    return path


def skip_without_servers() -> None:
    if LEFT_OUT:
        pytest.skip("servers are left out: WSGI_SESSIONS_REQUIRE_SERVERS=none")


def unavailable(reason: str) -> None:
    """Skip, or fail where every server has to be there."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


_given: deque[int] = deque(maxlen=1000)


def free_port() -> int:
    """A port to listen on, also after a restart: never one that a client's end may be given, nor
    one that was given lately, where nobody may listen yet."""
    while True:
        port = 10_000 + secrets.randbelow(_first_of_clients() - 10_000)
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.append(port)
            return port


def _first_of_clients() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32768


@contextmanager
def silent_port() -> Iterator[int]:
    """A port where nothing listens, and nobody else can."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


class ServerProcess:
    """A child process that serves until :meth:`stop`, or until nobody holds this object."""

    def __init__(self, command: Sequence[str], *, log: Path, **popen: object) -> None:
        self.command, self.log, self._popen = list(command), log, popen
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], object], *, seconds: float = 30) -> None:
        """Start, and return when *ready* no longer raises."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self._popen
            )
        weakref.finalize(self, _end_what_was_left, self.process)
        deadline = time.monotonic() + seconds
        while True:
            try:
                ready()
                return
            except Exception as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    output = self.log.read_text(errors="replace")[-4000:]
                    raise RuntimeError(f"{self.command[0]} did not start: {output}") from error
                time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        """Return when a ``SIGSTOP`` has taken effect: until then it could still answer."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            if number == signal.SIGSTOP:
                wait_until_stopped(self.process.pid)

    def wait(self, seconds: float = 20) -> None:
        if self.process is not None:
            self.process.wait(seconds)

    def stop(self) -> None:
        """End it in an orderly way; at once if it does not."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()


def _end_what_was_left(process: subprocess.Popen[bytes]) -> None:
    """What a test that failed did not stop, or one that passed, which is a mistake."""
    if process.poll() is None:
        process.kill()
        process.wait()
        warnings.warn(f"{process.args!r} was left running", ResourceWarning, stacklevel=2)


def wait_until_stopped(pid: int) -> None:
    """Wait for each thread of a process that was sent a SIGSTOP."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            while thread.read_text().rpartition(") ")[2][0] not in "TZX":
                time.sleep(0.001)


def accepts_connections(port: int, host: str = "127.0.0.1") -> None:
    """Raise unless something listens there."""
    socket.create_connection((host, port), timeout=1).close()
