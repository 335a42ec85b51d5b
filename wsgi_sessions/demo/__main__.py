"""``python -m wsgi_sessions.demo``: serve the demo with gunicorn, two workers, on SQLite."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgi_sessions.demo.observed import Observed
from wsgi_sessions.demo.shop import shop
from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores import Store, open_store
from wsgi_sessions.stores.sqlite import SQLiteStore

__all__ = ["main"]


class CannotServe(Exception):
    """Why, and what to do about it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _serve(options.host, options.port, options.store)
    except (CannotServe, ConfigurationError) as error:
        print(f"wsgi_sessions.demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wsgi_sessions.demo",
        description="Serve a small shop that shows its session.",
    )
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--store",
        metavar="URL",
        default=os.environ.get("WSGI_SESSIONS_STORE"),
        help="where sessions are kept, for example redis://localhost "
        "(default: $WSGI_SESSIONS_STORE, else an SQLite file in your home directory)",
    )
    return parser


def _serve(host: str, port: int, url: str | None) -> int:
    try:
        import jinja2  # noqa: F401  # the pages need it with the first request

        from wsgi_sessions.demo.server import Server
    except ModuleNotFoundError as error:
        raise CannotServe(f'{error.name} is missing: pip install "wsgi-sessions[demo]"') from error
    store, place = _private_store() if url is None else (open_store(url), "the store you named")
    app = Observed(shop, store)
    listener = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    port = listener.getsockname()[1]

    def opened() -> None:
        print(f"The shop is open at http://{address}:{port} - Ctrl-C stops it.")
        print(f"Sessions are kept in {place}.", flush=True)

    # Each process has a memory of its own.
    workers = 1 if url is not None and url.lower().startswith("memory:") else 2
    Server(app, listener, workers=workers, opened=opened).run()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """The listening socket, made here because gunicorn would try a port in use for five seconds."""
    if not 0 <= port <= 65535:
        raise CannotServe(f"there is no port {port}: 0 to 65535, 0 for any free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotServe(
                f"port {port} is in use, perhaps by another demo: "
                f"stop that, or choose another port with --port"
            ) from None
        raise CannotServe(f"cannot listen at {host}, port {port}: {error.strerror}") from None


def _private_store() -> tuple[Store, str]:
    """An SQLite file that only this user can read. It stays, so logins outlive a restart."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    directory = Path(state, "wsgi-sessions-demo")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise CannotServe(
            f"cannot make {directory}: {error.strerror}; name another place with "
            f"--store sqlite:////some/where/demo.db"
        ) from None
    path = directory / "sessions.db"
    return SQLiteStore(path), str(path)


if __name__ == "__main__":
    sys.exit(main())
