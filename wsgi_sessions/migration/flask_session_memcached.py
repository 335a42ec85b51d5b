"""Flask-Session's sessions in Memcached."""

from __future__ import annotations

from time import monotonic
from typing import Any

from wsgi_sessions.migration.flask_session import FlaskSessionReader
from wsgi_sessions.stores import DEFAULT_TIMEOUTS, Timeouts
from wsgi_sessions.stores.memcached import Command, connect

__all__ = ["FlaskSessionMemcachedReader"]


class FlaskSessionMemcachedReader(FlaskSessionReader):
    """Reads what is in Memcached. *client_or_server* is the server's address, ``"host:port"``, or
    a ``Client``, ``PooledClient`` or ``HashClient`` of pymemcache.

    The client says only where the servers are: it may serve one thread at a time, or unpickle
    what it finds; *timeouts* hold for the reader's own connections. What other clients have spread
    over several servers cannot be found again.
    """

    def __init__(
        self, client_or_server: Any, *, timeouts: Timeouts = DEFAULT_TIMEOUTS, **options: Any
    ) -> None:
        super().__init__(**options)
        self._servers = connect(client_or_server, timeouts)
        self._total = 2 * timeouts.answer
        prefix = getattr(client_or_server, "key_prefix", b"")
        self._prefix = prefix.decode("ascii") + self._prefix

    def _load(self, name: str) -> bytes | None:
        data: bytes | None = self._run(name, lambda client: client.get(name))
        return data

    def _delete(self, name: str) -> None:
        self._run(name, lambda client: client.delete(name, noreply=False))

    def _run(self, name: str, command: Command) -> Any:
        return self._servers.run(name, command, monotonic() + self._total)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._servers.close()
