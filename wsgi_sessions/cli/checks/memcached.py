"""Problems at Memcached servers, and their remedies."""

from __future__ import annotations

from collections.abc import Iterator

from wsgi_sessions.cli.checks.checks import (
    check_answer_time,
    check_clients,
    check_clock,
    check_operations,
    check_route,
    check_version,
    is_local,
)
from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Route
from wsgi_sessions.stores.memcached import MemcachedStore

MINIMUM = "1.4.14"
"""Of 2012; nothing older has been tried."""


def check(store: MemcachedStore) -> Iterator[Finding]:
    """Each server, and the routes to them."""
    servers = store.servers()
    yield from check_clients("memcached")
    unreachable = 0
    for server in servers:
        try:
            yield from _check_server(store, server)
        except StoreUnavailable as error:
            unreachable += 1
            if unreachable == len(servers):
                raise
            yield Finding(
                Level.ERROR,
                str(error),
                "its sessions are unavailable, those of the other servers are not",
                "start it, or take it off the list of every process",
            )
    yield from _check_route(store.route())
    if len(servers) > 1:
        yield Finding(
            Level.NOTE,
            f"{len(servers)} servers",
            "every process has to be given the same ones, spelt alike, or sessions are missing; "
            f"one that restarts ends 1/{len(servers)} of the sessions",
        )
    yield Finding(
        Level.NOTE,
        "Memcached keeps nothing over a restart",
        "all sessions of a server end with it",
        "another store, if that matters",
    )
    if not unreachable:
        yield check_operations(store)


def _check_server(store: MemcachedStore, server: str) -> Iterator[Finding]:
    yield check_answer_time(lambda: store.stats(server), f"memcached at {server}")
    stats, settings = store.stats(server), store.stats(server, "settings")
    yield check_version("memcached", _text(stats[b"version"]), MINIMUM)
    yield check_clock(lambda: float(store.stats(server)[b"time"]))
    yield _check_evictions(int(stats[b"evictions"]), int(stats[b"limit_maxbytes"]))
    if not settings.get(b"cas_enabled", True):
        yield Finding(
            Level.ERROR,
            "memcached was started with -C",
            "it cannot compare, so saves would overwrite each other",
            "start it without -C",
        )
    yield _check_item_size(store, int(settings[b"item_size_max"]))


def _check_route(route: Route) -> Iterator[Finding]:
    """It has no users here; without TLS there is one finding, and not two."""
    remote = [host for host in route.hosts if not is_local(host)]
    if not remote or route.encrypted:
        yield from check_route(route)
        return
    yield Finding(
        Level.WARNING,
        f"neither TLS nor a password at {', '.join(remote)}",
        "anyone who reaches the server can read, change and end sessions",
        "a private network",
    )


def _check_evictions(count: int, limit: int) -> Finding:
    memory = f"{limit / 2**20:.0f} MiB of memory"
    if not count:
        return Finding(Level.OK, f"no evictions, {memory}")
    return Finding(
        Level.WARNING,
        f"{count} evictions since the server started, {memory}",
        "sessions are dropped before they expire when the memory is full",
        "more memory (-m), or a server for sessions alone",
    )


def _check_item_size(store: MemcachedStore, limit: int) -> Finding:
    overhead = store.item_overhead
    item = store.max_bytes + overhead
    what = f"items of up to {limit:,} bytes (-I)"
    if limit >= item:
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        what,
        f"less than max_bytes allows, which needs {item:,}: large sessions fail only when sent",
        f"-I {item}, or max_bytes={max(limit - overhead, 1)} for store and sessions",
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
