"""What the URL of a Redis server says: how to connect, and along which route."""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Route
from wsgi_sessions.stores.redis.wire import LimitedConnection
from wsgi_sessions.stores.timeouts import Timeouts

__all__ = ["connection_options", "route_of"]

_OPTIONS = {"host", "port", "path", "db", "username", "password", "client_name"} | {
    "socket_timeout",
    "socket_connect_timeout",
}
_URL = (
    "redis://[[user]:password@]host[:port][/db], rediss:// for TLS, or unix://path; special "
    "characters in user and password as %XX"
)


def connection_options(url: str, timeouts: Timeouts) -> tuple[type[Any], dict[str, Any]]:
    """redis-py's connection class for *url*, with the deadline mixed in, and its options.

    ``socket_connect_timeout`` and ``socket_timeout``, redis-py's own names in the URL, win over
    *timeouts*.
    """
    from redis.connection import AbstractConnection, Connection, parse_url

    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
    try:
        options = parse_url(scheme + separator + rest)  # type: ignore[no-untyped-call]
    except ValueError:  # whose text may quote a password
        raise ConfigurationError(f"not a Redis URL; write {_URL}") from None
    base = options.pop("connection_class", Connection)
    for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True):
        if name not in _OPTIONS and not name.startswith("ssl_"):
            shown = repr(name) if name.isidentifier() else f"(write {_URL})"
            raise ConfigurationError(f"unknown option {shown} in the Redis URL")
    options.setdefault("socket_connect_timeout", timeouts.connect)
    options.setdefault("socket_timeout", timeouts.answer)
    Timeouts(options["socket_connect_timeout"], options["socket_timeout"])  # refuses 0
    options["protocol"] = 2  # no HELLO to wait for, no push messages
    if issubclass(base, Connection):
        options["socket_keepalive"] = (
            True  # a firewall that drops the connection is noticed while idle
        )
    # CLIENT SETINFO would be two more round trips, and two entries in the ACL log
    known = inspect.signature(AbstractConnection.__init__).parameters
    unnamed = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    options.update(dict.fromkeys(unnamed))
    return type("LimitedConnection", (LimitedConnection, base), {}), options


def route_of(url: str) -> Route:
    """How the server at *url* is reached."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    hosts = [urlsplit(f"//{one}").hostname for one in parts.netloc.rpartition("@")[2].split(",")]
    return Route(
        hosts=("",) if parts.scheme == "unix" else tuple(host or "" for host in hosts),
        encrypted=parts.scheme.startswith(("rediss", "valkeys")),
        verified=query.get("ssl_cert_reqs", ["required"])[-1].lower() == "required",
        password=bool(parts.password or query.get("password")),
    )
