"""Memcached, alone and three together. What is killed has nothing that it could come back with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.memcached import MemcachedServer
from tests.servers.proxy import FaultProxy
from tests.soak.faults import Fault, Refusal, Target, anything
from tests.soak.targets.server import forgotten, slow_writes
from wsgi_sessions import MemcachedStore

WRITES = re.compile(rb"(?:\A|\r\n)(?:add|cas|set|delete) ")
ENVIRONMENT = {"SOAK_SECRET": "a signing secret that Memcached could evict"}


@contextmanager
def memcached(directory: Path) -> Iterator[Target]:
    with several(directory, 1) as ([server], [proxy]):
        faults = {
            "forgotten": forgotten(proxy),
            "slow to write": slow_writes(WRITES, proxy),
            "stalled": Fault(server.stall, server.go_on),
        }
        yield Target(f"memcached://127.0.0.1:{proxy.port}", faults, ENVIRONMENT)


@contextmanager
def three_memcached(directory: Path) -> Iterator[Target]:
    with several(directory, 3) as (servers, proxies):
        addresses = [f"127.0.0.1:{proxy.port}" for proxy in proxies]
        store = MemcachedStore(addresses)

        def is_on_the_first(refusal: Refusal) -> bool:
            """The sessions of the others never fail; a new one is put on one of those."""
            its_own = refusal.id and store.place_of(refusal.id) == addresses[0]
            return anything(refusal) and bool(its_own)

        faults = {
            "forgotten": forgotten(*proxies),
            "slow to write": slow_writes(WRITES, *proxies),
            "one of three stalled": Fault(servers[0].stall, servers[0].go_on, is_on_the_first),
            "stalled": Fault(
                lambda: [server.stall() for server in servers],
                lambda: [server.go_on() for server in servers],
            ),
        }
        yield Target(f"memcached://{','.join(addresses)}", faults, ENVIRONMENT)


@contextmanager
def several(
    directory: Path, count: int
) -> Iterator[tuple[list[MemcachedServer], list[FaultProxy]]]:
    """Servers, each behind a proxy."""
    with ExitStack() as stack:
        servers = []
        for number in range(count):
            place = directory / f"memcached{number}"
            place.mkdir()
            servers.append(server := MemcachedServer(place))
            stack.callback(server.kill)
            stack.callback(server.go_on)
        yield servers, [stack.enter_context(FaultProxy(server.port)) for server in servers]
