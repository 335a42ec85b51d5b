"""Redis: one server, a cluster, a master by Sentinel."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from redis import RedisError
from redis.crc import key_slot

from tests.servers.proxy import FaultProxy
from tests.servers.redis import RedisCluster, RedisSentinel, RedisServer
from tests.soak.faults import Allows, Fault, Refusal, Target, anything, nothing, repeated, writes
from tests.soak.targets.server import forgotten, slow_writes, stalled
from tests.support.patience import wait_until

WRITES = re.compile(rb"\r\n(?:SET|EVAL|EVALSHA|DEL)\r\n")
BARE = "the bare client"
"""A key in slot 1517, which is the first node's."""


@contextmanager
def redis(directory: Path) -> Iterator[Target]:
    """Writes are in its file before they are confirmed, so a crash loses none."""
    server = RedisServer(directory / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    process = server.process

    def limit(size: int) -> None:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", size)

    try:
        with FaultProxy(server.port) as proxy:
            faults = {
                "forgotten": forgotten(proxy),
                "full": Fault(lambda: limit(1), lambda: limit(0), writes),
                "not writable": not_writable(server),
                "slow to write": slow_writes(WRITES, proxy),
                "killed": Fault(process.kill, server.start),
                "stalled": stalled(process.signal),
                "stopped": Fault(process.stop, server.start),
            }
            yield Target(f"redis://127.0.0.1:{proxy.port}", faults)
    finally:
        server.stop()


@contextmanager
def redis_cluster(directory: Path) -> Iterator[Target]:
    """Three masters with a replica each."""
    cluster = RedisCluster(directory, replicas=True, down_after=1500)
    nodes, replicas = cluster.nodes, cluster.replicas

    def change_places() -> None:
        nodes[0], replicas[0] = replicas[0], nodes[0]

    failover = Failover(lambda: (nodes[0], replicas[0]), lambda: replicas[0], change_places)

    def allows(refusal: Refusal) -> bool:
        """The sessions of the others are read and written. A login or logout needs its owner's
        list too, which may be on the node that is dead."""
        listed = refusal.kind not in ("read", "write")
        return anything(refusal) and (listed or is_on_the_first(refusal.id))

    def move_a_slot() -> None:
        """From the second to the third, with all that is in it."""
        second = nodes[1]
        for name in second.ask("SCAN", 0, "COUNT", 100)[1]:
            if cluster.node_of(name.decode())[1] is second:
                cluster.migrate(name.decode(), lambda: None)
                return

    try:
        faults = {
            "moving slots": repeated(move_a_slot, 0.05, nothing),
            "not writable": not_writable(*nodes, *replicas),
            "a master killed": failover.fault(allows),
        }
        yield Target(f"{cluster.url}?wait_replicas=1", faults)
    finally:
        cluster.stop()


@contextmanager
def redis_sentinel(directory: Path) -> Iterator[Target]:
    """A master and a replica, which change places."""
    sentinel = RedisSentinel(directory)
    servers = [sentinel.first, sentinel.second]

    def master() -> RedisServer:
        with sentinel.client() as client:
            client.ping()
            port = client.connection_pool.get_master_address()[1]
        return next(server for server in servers if server.port == port)

    def master_and_replica() -> tuple[RedisServer, RedisServer]:
        now = master()
        return now, next(server for server in servers if server is not now)

    failover = Failover(master_and_replica, master)
    try:
        faults = {
            "not writable": not_writable(*servers),
            "a master killed": failover.fault(anything),
        }
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{sentinel.NAME}?wait_replicas=1"
        yield Target(url, faults)
    finally:
        sentinel.stop()


def not_writable(*servers: RedisServer) -> Fault:
    """They have fewer replicas than they want for writes."""

    def want(replicas: int) -> None:
        for server in servers:
            server.ask("CONFIG", "SET", "min-replicas-to-write", replicas)

    return Fault(lambda: want(9), lambda: want(0), writes)


def is_on_the_first(id: str) -> bool:
    return key_slot(f"session:{id}".encode()) < RedisCluster.LIMITS[1]


class Failover:
    """A master is killed, its replica takes over, and the one that was killed becomes its replica.
    How long the first of it takes is for the servers; a bare client measures it."""

    def __init__(
        self,
        servers: Callable[[], tuple[RedisServer, RedisServer]],
        master: Callable[[], RedisServer],
        afterwards: Callable[[], object] = lambda: None,
    ) -> None:
        """*servers* gives the master and its replica, *master* who is taken for one by now."""
        self._servers, self._master, self._afterwards = servers, master, afterwards
        self._dead: RedisServer
        self._heir: RedisServer
        self._watch = Thread()
        self._reads_again = math.inf

    def fault(self, allows: Allows) -> Fault:
        return Fault(self._begin, self._finish, allows, reads_again=lambda: self._reads_again)

    def _begin(self) -> None:
        self._dead, self._heir = self._servers()
        self._reads_again = math.inf
        self._dead.process.kill()
        self._watch = Thread(target=self._measure)
        self._watch.start()

    def _measure(self) -> None:
        wait_until(self._has_taken_over, "the replica takes over")
        self._reads_again = time.monotonic()

    def _has_taken_over(self) -> bool:
        try:
            return self._master() is self._heir and is_master(self._heir)
        except RedisError:
            return False

    def _finish(self) -> None:
        """Without a replica nothing could be confirmed."""
        self._watch.join()
        self._dead.start()
        if self._dead.ask("INFO", "cluster")["cluster_enabled"] == 0:
            self._dead.ask("REPLICAOF", "127.0.0.1", self._heir.port)
        wait_until(lambda: replicates(self._heir), "the one that was killed has become a replica")
        self._afterwards()


def is_master(server: RedisServer) -> bool:
    """Whether a bare client reads what is on the first node, or the only one, from it."""
    server.ask("GET", BARE)
    return bool(server.ask("ROLE")[0] == b"master")


def replicates(server: RedisServer) -> bool:
    """Whether a write of a bare client is confirmed by a replica."""
    try:
        with server.admin() as client:
            client.set(BARE, 1)
            return bool(client.wait(1, 500))
    except RedisError:
        return False
