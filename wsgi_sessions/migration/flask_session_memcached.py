"""Flask-Session's sessions in Memcached."""

from __future__ import annotations

import copy
from time import monotonic
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.migration.flask_session import FlaskSessionReader
from wsgi_sessions.stores.memcached import Command, OwnServer, Servers, closed, servers_at

__all__ = ["FlaskSessionMemcachedReader"]

_TOTAL_SECONDS = 1.0


class FlaskSessionMemcachedReader(FlaskSessionReader):
    """Reads what is in Memcached. *client_or_server* is the server's address, ``"host:port"``, or
    a ``Client``, ``PooledClient`` or ``HashClient`` of pymemcache.

    The client says only where the servers are: it may serve one thread at a time, or unpickle
    what it finds. What other clients have spread over several servers cannot be found again.
    """

    def __init__(self, client_or_server: Any, **options: Any) -> None:
        super().__init__(**options)
        self._servers = _servers(client_or_server)
        prefix = getattr(client_or_server, "key_prefix", b"")
        self._prefix = prefix.decode("ascii") + self._prefix

    def _load(self, name: str) -> bytes | None:
        data: bytes | None = self._run(name, lambda client: client.get(name))
        return data

    def _delete(self, name: str) -> None:
        self._run(name, lambda client: client.delete(name, noreply=False))

    def _run(self, name: str, command: Command) -> Any:
        server, deadline = self._servers.of(name), monotonic() + _TOTAL_SECONDS
        try:
            return server.run(command, deadline)
        except closed():
            server.close_idle()
            return server.run(command, deadline)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._servers.close()


def _servers(given: Any) -> Servers:
    if isinstance(given, str):
        return servers_at(given)
    if hasattr(given, "hasher") and hasattr(given, "clients"):
        hasher = copy.deepcopy(given.hasher)
        for node in given.clients:
            hasher.add_node(node)
        nodes = {node: OwnServer(client.server) for node, client in given.clients.items()}
        return Servers(nodes, hasher)
    if hasattr(given, "server"):
        return servers_at([given.server])
    raise ConfigurationError(
        f"old sessions in Memcached are read from an address, 'host:port', or by a client of "
        f"pymemcache, not by a {type(given).__module__}.{type(given).__name__}"
    )
