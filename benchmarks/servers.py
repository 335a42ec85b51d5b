"""The servers that the benchmarks talk to: those of the tests, started outside pytest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from _pytest.outcomes import Skipped

from benchmarks.contenders import Places


@contextmanager
def running(names: set[str], missing: Callable[[str], None] = print) -> Iterator[Places]:
    """Start the servers called *names*, and say where they are. One that is not installed is left
    out, and *missing* is told the line that installs it."""
    with ExitStack() as started:
        directory = Path(tempfile.mkdtemp(prefix="wsgi-sessions-bench-"))
        started.callback(shutil.rmtree, directory, ignore_errors=True)
        places = {"directory": str(directory)}
        for name in sorted(names):
            try:
                places[name] = _START[name](directory / name, started)
            except (Skipped, ImportError) as reason:
                missing(str(reason))
        yield places


def _redis(directory: Path, started: ExitStack) -> str:
    from tests.servers.redis import RedisServer

    server = RedisServer(directory).start()
    started.callback(server.stop)
    return server.url


def _memcached(directory: Path, started: ExitStack) -> str:
    from tests.servers.memcached import MemcachedServer

    directory.mkdir()
    server = MemcachedServer(directory, "-m", "1024")
    started.callback(server.kill)
    return server.address


def _postgresql(directory: Path, started: ExitStack) -> str:
    from tests.servers.postgresql import PostgreSQL

    directory.parent.chmod(0o711)  # it runs as another user
    directory.mkdir()
    server = PostgreSQL(directory)
    server.create()
    started.callback(server.crash)
    server.start()
    # The tests have every statement logged, and nothing kept through a power cut.
    server.execute("ALTER ROLE tester SET log_statement = 'none'")
    return server.url()


_START: dict[str, Callable[[Path, ExitStack], str]] = {
    "redis": _redis,
    "memcached": _memcached,
    "postgresql": _postgresql,
}
