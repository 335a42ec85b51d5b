"""The Memcached servers of a store, and which of them holds a key.

No key ever moves because its server is down: its session would be missing, and later stored twice.
pymemcache's ``HashClient`` moves keys, and before it does, answers "missing" in place of a failed
server; so of a ``HashClient`` only its clients and its hash are used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from hashlib import blake2b
from ssl import SSLContext
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.memcached.client import check, pymemcache
from wsgi_sessions.stores.memcached.connections import (
    Address,
    Command,
    OwnServer,
    PlainClient,
    PooledClient,
    Server,
    label,
)
from wsgi_sessions.stores.timeouts import Timeouts


class Servers:
    """One or more servers; a key is always on the same."""

    def __init__(self, servers: Mapping[Any, Server], hasher: Any = None) -> None:
        self._servers, self._hasher = servers, hasher
        self._only = next(iter(servers.values())) if len(servers) == 1 else None
        self.longest_prefix: int = max(len(server.key_prefix) for server in servers.values())
        """What clients that were handed in put before a key by themselves."""

    def of(self, name: str) -> Server:
        """The server that holds *name*."""
        return self._only or self._servers[self._hasher.get_node(name)]

    def run(self, name: str, command: Command, deadline: float) -> Any:
        """What *command* returns for a client of the server that holds *name*. It is sent once more
        if a connection that was kept turned out to be dead."""
        # Not by of(): one call less in each request.
        server = self._only or self._servers[self._hasher.get_node(name)]
        return server.run(command, deadline, again=True)

    def labels(self) -> list[str]:
        """Every server's address as it is written."""
        return [server.label for server in self._servers.values()]

    def labelled(self, label: str) -> Server:
        """The server with that address."""
        return next(server for server in self._servers.values() if server.label == label)

    def close(self) -> None:
        """Close the idle connections that are not those of a client that was handed in."""
        for server in self._servers.values():
            if isinstance(server, OwnServer):
                server.close_idle()


def servers_at(
    given: str | list[Any] | tuple[Any, ...],
    timeouts: Timeouts,
    tls_context: SSLContext | None = None,
) -> Servers:
    """The servers at the addresses *given*, by rendezvous hashing: their order does not matter,
    and of *n* servers one that is added takes one in *n* + 1 keys."""
    if isinstance(given, str):
        given = given.split(",")
    elif isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int):
        given = [given]  # a single (host, port), as pymemcache writes it
    addresses = list(map(_address, given))
    if tls_context is not None and any(isinstance(address, str) for address in addresses):
        raise ConfigurationError("Memcached speaks TLS over TCP only: give host:port, or no TLS")
    servers = {label(one): OwnServer(one, timeouts, tls_context) for one in addresses}
    if not servers:
        raise ConfigurationError("MemcachedStore needs at least one server")
    rendezvous = pymemcache("client.rendezvous").RendezvousHash
    return Servers(servers, rendezvous(list(servers), hash_function=_score))


def connect(client_or_server: Any, timeouts: Timeouts) -> Servers:
    """Connections of one's own to the servers of a client, or at an address, ``"host:port"``.

    The client says only where the servers are: it may serve one thread at a time, or unpickle what
    it finds.
    """
    given = client_or_server
    if isinstance(given, str):
        return servers_at(given, timeouts)
    if hasattr(given, "hasher") and hasattr(given, "clients"):
        own = {node: OwnServer(each.server, timeouts) for node, each in given.clients.items()}
        return Servers(own, _complete_hasher(given))
    if hasattr(given, "server"):
        return servers_at([given.server], timeouts)
    raise ConfigurationError(
        f"Memcached is reached at an address, 'host:port', or by a client of pymemcache, "
        f"not by a {type(given).__module__}.{type(given).__name__}"
    )


def servers_of(client: Any) -> Servers:
    """The servers of a client that is handed in."""
    check(client)
    if not (hasattr(client, "hasher") and hasattr(client, "clients")):
        return Servers({None: _server_of(client)})
    servers = {node: _server_of(each) for node, each in client.clients.items()}
    return Servers(servers, _complete_hasher(client))


def _complete_hasher(client: Any) -> Any:
    """A copy of the hash that knows all servers, those too that the client has found dead."""
    hasher = copy.deepcopy(client.hasher)
    for node in client.clients:
        hasher.add_node(node)
    return hasher


def _server_of(client: Any) -> Server:
    check(client)
    return PooledClient(client) if hasattr(client, "client_pool") else PlainClient(client)


def _address(given: Any) -> Address:
    normalize = pymemcache("client.base").normalize_server_spec
    try:
        address = normalize(given.strip() if isinstance(given, str) else given)
    except ValueError:
        address = None
    match address:
        case (str(host), int(port)) if host and "/" not in host:
            return host, port
        case str(path) if path:
            return path
    raise ConfigurationError(
        "a Memcached server is 'host:port', '/path/to/socket' or (host, port); "
        "for a URL there are open_store and MemcachedStore.from_url"
    )


def _score(text: str, _seed: int) -> int:
    """pymemcache's own hash function is written in Python: 8 µs a server, half a ``gets``."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
