"""Redis by a URL that names several hosts: Sentinels, or nodes of a Cluster.

How this works. Behind Sentinels one server is the master, so the store keeps its own connections
to that, as to a single one; each new connection asks the Sentinels which it is. To a Cluster speaks
redis-py's client, made with the store's short time limits when it is first needed, by each process.
"""

from __future__ import annotations

from os import getpid
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.redis.client import Client
from wsgi_sessions.stores.redis.connections import Connections
from wsgi_sessions.stores.redis.url import connection_options
from wsgi_sessions.stores.timeouts import Timeouts
from wsgi_sessions.stores.url_options import TEXT, take_options

__all__ = ["ClusterClient", "SentinelConnections", "is_cluster", "is_sentinel"]

_SENTINEL_URL = "redis+sentinel://[[user]:password@]host[:26379][,host…]/master-name[/db]"
_CLUSTER_URL = "redis+cluster://[[user]:password@]host[:6379][,host…]"


def is_sentinel(url: str) -> bool:
    return url.partition("://")[0].lower().endswith("+sentinel")


def is_cluster(url: str) -> bool:
    return url.partition("://")[0].lower().endswith("+cluster")


class _Hosts(NamedTuple):
    places: list[tuple[str, int]]
    path: list[str]
    """The parts of the path."""
    single: str
    """The URL of a server with the same options, without a database."""
    query: str


def _hosts(url: str, port: int, example: str) -> _Hosts:
    """What *url* names; hosts without a port have *port*. No message quotes a password."""
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    user, at, hosts = parts.netloc.rpartition("@")
    try:
        places = [_place(one, port) for one in hosts.split(",")]
    except ValueError:
        raise ConfigurationError(f"not a URL of several Redis hosts; write {example}") from None
    path = [unquote(part) for part in parts.path.split("/") if part]
    return _Hosts(places, path, f"{scheme}://{user}{at}localhost", parts.query)


def _place(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or port


class SentinelConnections(Connections):
    """Whoever is the master, by the Sentinels at *url*."""

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        url, own = take_options(url, {"sentinel_username": TEXT, "sentinel_password": TEXT})
        hosts = _hosts(url, 26379, _SENTINEL_URL)
        database = hosts.path[1] if len(hosts.path) == 2 else "0"
        if len(hosts.path) not in (1, 2) or not database.isdecimal():
            raise ConfigurationError(f"the URL does not name one master; write {_SENTINEL_URL}")
        self._sentinels, self._name = hosts.places, hosts.path[0]
        single = f"{hosts.single}/{database}?{hosts.query}"
        super().__init__(single, wait_replicas=wait_replicas, timeouts=timeouts)
        limit = self._options["socket_connect_timeout"]
        self._sentinel_options: dict[str, Any] = {
            "socket_timeout": limit,
            "socket_connect_timeout": limit,
            "username": own.get("sentinel_username"),
            "password": own.get("sentinel_password"),
        }
        if hosts.single.startswith(("rediss:", "valkeys:")):
            tls = {name: value for name, value in self._options.items() if name.startswith("ssl_")}
            self._sentinel_options |= {"ssl": True, **tls}

    def _open(self) -> Any:
        """A connection, not connected, to the master of this moment. A new client each time: this
        is rare, and nothing is left that a fork or an idle connection could break."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        options = {**self._sentinel_options, "retry": Retry(NoBackoff(), 0)}
        sentinel = Sentinel(self._sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        try:
            host, port = sentinel.discover_master(self._name)  # type: ignore[no-untyped-call]
        finally:
            for client in sentinel.sentinels:
                client.close()
        connection = super()._open()
        connection.host, connection.port = host, port
        return connection

    def _describe(self) -> str:
        super()._describe()
        return f"Redis, the Sentinels' master {self._name!r},"


class ClusterClient(Client):
    """redis-py's client of the Cluster at *url*, with our time limits and one more attempt."""

    is_cluster = True

    def __init__(self, url: str, *, wait_replicas: int, timeouts: Timeouts) -> None:
        hosts = _hosts(url, 6379, _CLUSTER_URL)
        if hosts.path not in ([], ["0"]):
            raise ConfigurationError(f"a Redis Cluster has no other database; write {_CLUSTER_URL}")
        if wait_replicas:
            raise ConfigurationError(
                "wait_replicas needs one server or Sentinel: a cluster client cannot send WAIT "
                "on the connection of the write"
            )
        self._places = hosts.places
        _, options = connection_options(f"{hosts.single}?{hosts.query}", timeouts)
        del options["host"]
        options.pop("db", None)
        self._options = {**options, "ssl": hosts.single.startswith(("rediss:", "valkeys:"))}
        self._wait_replicas = 0
        self._process, self._made = 0, None

    @property
    def _client(self) -> Any:
        if self._process != getpid():
            self._made, self._process = self._make(), getpid()
        return self._made

    def _make(self) -> Any:
        from redis.backoff import NoBackoff
        from redis.cluster import ClusterNode, RedisCluster
        from redis.exceptions import RedisError
        from redis.retry import Retry

        nodes = [ClusterNode(*place) for place in self._places]  # type: ignore[no-untyped-call]
        try:
            return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **self._options)
        except RedisError as error:
            failure = StoreUnavailable(
                f"no node of the Redis Cluster answers: {type(error).__name__}"
            )
            failure.applied = False
            raise failure from None

    def close(self) -> None:
        """Close the connections that are not in use; later operations open new ones."""
        made, self._made, process, self._process = self._made, None, self._process, 0
        if made is not None and process == getpid():
            made.close()
