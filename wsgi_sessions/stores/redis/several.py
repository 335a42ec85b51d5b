"""Redis by a URL that names several hosts: Sentinels, or nodes of a Cluster.

How this works. Behind Sentinels one server is the master, so the store keeps its own connections
to that, as to a single one; each new connection asks the Sentinels which it is. A Cluster is in
``cluster.py``.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.redis.connections import Connections
from wsgi_sessions.stores.timeouts import Timeouts
from wsgi_sessions.stores.url_options import TEXT, take_options

__all__ = ["Place", "SentinelConnections", "hosts_of", "is_cluster", "is_sentinel"]

Place = tuple[str, int]
"""A host and its port."""

_SENTINEL_URL = "redis+sentinel://[[user]:password@]host[:26379][,host…]/master-name[/db]"


def is_sentinel(url: str) -> bool:
    return url.partition("://")[0].lower().endswith("+sentinel")


def is_cluster(url: str) -> bool:
    return url.partition("://")[0].lower().endswith("+cluster")


class Hosts(NamedTuple):
    places: list[Place]
    path: list[str]
    """The parts of the path."""
    single: str
    """The URL of a server with the same options, without a database."""
    query: str

    def url_of(self, place: Place) -> str:
        """That of the single server at *place*."""
        host, port = place
        host = f"[{host}]" if ":" in host else host
        return f"{self.single.removesuffix('localhost')}{host}:{port}?{self.query}"


def hosts_of(url: str, port: int, example: str) -> Hosts:
    """What *url* names; hosts without a port have *port*. No message quotes a password."""
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    user, at, hosts = parts.netloc.rpartition("@")
    try:
        places = [_place(one, port) for one in hosts.split(",")]
    except ValueError:
        raise ConfigurationError(f"not a URL of several Redis hosts; write {example}") from None
    path = [unquote(part) for part in parts.path.split("/") if part]
    return Hosts(places, path, f"{scheme}://{user}{at}localhost", parts.query)


def _place(text: str, port: int) -> Place:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or port


class SentinelConnections(Connections):
    """Whoever is the master, by the Sentinels at *url*."""

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        url, own = take_options(url, {"sentinel_username": TEXT, "sentinel_password": TEXT})
        hosts = hosts_of(url, 26379, _SENTINEL_URL)
        database = hosts.path[1] if len(hosts.path) == 2 else "0"
        if len(hosts.path) not in (1, 2) or not database.isdecimal():
            raise ConfigurationError(f"the URL does not name one master; write {_SENTINEL_URL}")
        self._sentinels, self._name = hosts.places, hosts.path[0]
        single = f"{hosts.single}/{database}?{hosts.query}"
        super().__init__(single, wait_replicas=wait_replicas, timeouts=timeouts)
        self._sentinel_options: dict[str, Any] = {
            "username": own.get("sentinel_username"),
            "password": own.get("sentinel_password"),
        }
        if hosts.single.startswith(("rediss:", "valkeys:")):
            tls = {name: value for name, value in self._options.items() if name.startswith("ssl_")}
            self._sentinel_options |= {"ssl": True, **tls}

    def _open(self, deadline: float) -> Any:
        """A connection, not connected, to the master of this moment. A new client each time: this
        is rare, and nothing is left that a fork or an idle connection could break. Sentinels that
        hang leave the others, and the master, their part of the time."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        part = max(deadline - monotonic(), 0.01) / (len(self._sentinels) + 1)
        limit = min(self._options["socket_connect_timeout"], part)
        options = {
            **self._sentinel_options,
            "socket_timeout": limit,
            "socket_connect_timeout": limit,
            "retry": Retry(NoBackoff(), 0),
        }
        sentinel = Sentinel(self._sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        try:
            host, port = sentinel.discover_master(self._name)  # type: ignore[no-untyped-call]
        finally:
            for client in sentinel.sentinels:
                client.close()
        connection = super()._open(deadline)
        connection.host, connection.port = host, port
        return connection

    def _describe(self) -> str:
        super()._describe()
        return f"Redis, the Sentinels' master {self._name!r},"
