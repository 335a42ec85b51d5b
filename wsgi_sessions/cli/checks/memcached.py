"""What is not so at Memcached servers."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import wsgi_sessions.cli.checks.checks as health
from wsgi_sessions.cli.checks.checks import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.memcached import Server, failures, report

if TYPE_CHECKING:
    from wsgi_sessions.stores.memcached import MemcachedStore

MINIMUM = "1.4.14"
"""``touch`` that works over the text protocol."""
SECONDS = 1.0


def findings(store: MemcachedStore, servers: list[Server], overhead: int) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`. *overhead* is what an item
    takes besides the data."""
    yield from health.clients("memcached")
    unreachable = 0
    for server in servers:
        try:
            yield from _of_server(server, store.max_bytes, overhead)
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
    hosts = [server.label.rpartition(":")[0] for server in servers]
    yield from _exposure(hosts)
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
        yield health.probe(store)


def _of_server(server: Server, data: int, overhead: int) -> Iterator[Finding]:
    yield health.reach(lambda: _stats(server), f"memcached at {server.label}")
    stats, settings = _stats(server), _stats(server, "settings")
    yield health.version("memcached", _text(stats[b"version"]), MINIMUM)
    yield health.clock(lambda: float(_stats(server)[b"time"]))
    yield _evictions(int(stats[b"evictions"]), int(stats[b"limit_maxbytes"]))
    if not settings.get(b"cas_enabled", True):
        yield Finding(
            Level.ERROR,
            "memcached was started with -C",
            "it cannot compare, so saves would overwrite each other",
            "start it without -C",
        )
    yield _item_size(int(settings[b"item_size_max"]), data + overhead, overhead)


def _exposure(hosts: list[str]) -> Iterator[Finding]:
    """It has neither TLS here nor users, so there is one thing to be said, and not two."""
    remote = [host for host in hosts if not health.is_local(host)]
    if not remote:
        yield from health.exposure([], encrypted=False, password=False)
        return
    yield Finding(
        Level.WARNING,
        f"neither TLS nor a password at {', '.join(remote)}",
        "whoever reaches the server can read, change and end sessions",
        "a private network",
    )


def _evictions(count: int, limit: int) -> Finding:
    memory = f"{limit / 2**20:.0f} MiB of memory"
    if not count:
        return Finding(Level.OK, f"no evictions, {memory}")
    return Finding(
        Level.WARNING,
        f"{count} evictions since the server started, {memory}",
        "sessions end before their time when the memory is full",
        "more memory (-m), or a server for sessions alone",
    )


def _item_size(limit: int, item: int, overhead: int) -> Finding:
    what = f"items of up to {limit:,} bytes (-I)"
    if limit >= item:
        return Finding(Level.OK, what)
    return Finding(
        Level.WARNING,
        what,
        f"less than max_bytes allows, which needs {item:,}: large sessions fail only when sent",
        f"-I {item}, or max_bytes={max(limit - overhead, 1)} for store and sessions",
    )


def _stats(server: Server, *arguments: str) -> dict[bytes, Any]:
    try:
        answer: dict[bytes, Any] = server.run(
            lambda client: client.stats(*arguments), monotonic() + SECONDS
        )
    except failures() as error:
        report(server.label, error)
    return answer


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
