"""The Memcached servers of a store, and which of them holds a key.

No key ever moves because its server is down: its session would be missing, and later there twice.
pymemcache's ``HashClient`` moves keys, and before it does, answers "missing" in place of a failed
server; so of a ``HashClient`` only its clients and its hash are used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.memcached.client import check, pymemcache
from wsgi_sessions.stores.memcached.connections import (
    Address,
    OwnServer,
    PlainClient,
    PooledClient,
    Server,
    label,
)


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

    def all(self) -> list[Server]:
        """Every server."""
        return list(self._servers.values())

    def close(self) -> None:
        """Close the idle connections that are not those of a client that was handed in."""
        for server in self._servers.values():
            if isinstance(server, OwnServer):
                server.close_idle()


def servers_at(given: str | list[Any] | tuple[Any, ...]) -> Servers:
    """The servers at the addresses *given*, by rendezvous hashing: their order does not matter,
    and of *n* servers one that is added takes one in *n* + 1 keys."""
    if isinstance(given, str):
        given = given.split(",")
    elif isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int):
        given = [given]  # a single (host, port), as pymemcache writes it
    servers = {label(address): OwnServer(address) for address in map(_address, given)}
    if not servers:
        raise ConfigurationError("MemcachedStore needs at least one server")
    rendezvous = pymemcache("client.rendezvous").RendezvousHash
    return Servers(servers, rendezvous(list(servers), hash_function=_score))


def servers_of(client: Any) -> Servers:
    """The servers of a client that is handed in."""
    check(client)
    if not (hasattr(client, "hasher") and hasattr(client, "clients")):
        return Servers({None: _server_of(client)})
    hasher = copy.deepcopy(client.hasher)
    for node in client.clients:
        hasher.add_node(node)  # also one that the client has found dead
    return Servers({node: _server_of(each) for node, each in client.clients.items()}, hasher)


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
