"""Redis servers for the tests: one alone, with TLS, with a password, a cluster, Sentinel."""

from __future__ import annotations

import datetime
import inspect
import ipaddress
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

from tests.servers.process import ServerProcess, free_port, require_program
from tests.support.patience import wait_until
from wsgi_sessions.stores.redis.store import RedisStore

PASSWORD = "p@ss/w:rd?"
SHORT: dict[str, Any] = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.25,
    "retry": Retry(NoBackoff(), 1),
}
"""Options for clients that are handed in, so that they give up as soon as the store's own way."""


class RedisServer:
    """One server process on a port and a Unix socket of its own."""

    def __init__(self, directory: Path, *options: object, port: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        program = require_program("redis-server", "redis-server")
        self.directory = directory
        self.port = port or free_port()
        self.socket = directory / "redis.sock"
        self.tls_port = 0
        self.certificate: Path | None = None
        self.admin_options: dict[str, Any] = {}
        command = [program, "--port", self.port, "--bind", "127.0.0.1", "--dir", directory]
        command += ["--unixsocket", self.socket, "--save", "", "--repl-diskless-sync-delay", "0"]
        command += ["--enable-debug-command", "yes", *options]
        self.process = ServerProcess([str(part) for part in command], log=directory / "log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @contextmanager
    def admin(self) -> Iterator[redis.Redis]:
        """A client for arrangements and checks, past any proxy."""
        with redis.Redis(unix_socket_path=str(self.socket), **self.admin_options) as client:
            yield client

    def ask(self, *command: object) -> Any:
        """The reply to one command."""
        with self.admin() as client:
            return client.execute_command(*command)

    def start(self) -> RedisServer:
        self.process.start(lambda: self.ask("PING"))
        return self

    def restart(self) -> None:
        """As after a crash; what it held is gone."""
        self.process.kill()
        self.start()

    def stop(self) -> None:
        self.process.stop()

    def calls(self) -> dict[str, int]:
        """How often each command was executed."""
        stats = self.ask("INFO", "commandstats")
        return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


@contextmanager
def stalled(server: RedisServer) -> Iterator[None]:
    """The server hangs meanwhile."""
    server.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.signal(signal.SIGCONT)


class RedisCluster:
    """Three servers that share the 16384 slots; with *replicas* each has one. One that was silent
    for *down_after* ms is down."""

    LIMITS = (0, 5461, 10923, 16384)

    def __init__(
        self, directory: Path, *, replicas: bool = False, down_after: int = 20_000
    ) -> None:
        self._count = 6 if replicas else 3
        buses = [free_port() for _ in range(self._count)]
        servers = [
            RedisServer(
                directory / str(number),
                *("--cluster-enabled", "yes", "--cluster-port", bus),
                *("--cluster-node-timeout", down_after),
                *("--cluster-require-full-coverage", "no"),
                *("--repl-ping-replica-period", "1"),
            ).start()
            for number, bus in enumerate(buses)
        ]
        self.nodes, self.replicas = servers[:3], servers[3:]
        self._moved: dict[int, RedisServer] = {}
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", self.LIMITS[number], self.LIMITS[number + 1] - 1)
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, buses[0])
        for number, replica in enumerate(self.replicas, 3):
            replica.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            replica.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, buses[0])
        for node in servers:
            wait_until(partial(self._is_complete, node), "the nodes know each other")
        for node, replica in zip(self.nodes, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", node.ask("CLUSTER", "MYID").decode())
        for node in self.nodes[: len(self.replicas)]:
            name = next(name for name in map(str, count()) if self.node_of(name)[1] is node)
            _wait_for_the_replica(node, name)

    def _is_complete(self, node: RedisServer) -> bool:
        """Each of them, and which slots it has: of all the state is "ok" without that."""
        info = node.ask("CLUSTER", "INFO").decode().splitlines()
        known = f"cluster_known_nodes:{self._count}", "cluster_slots_assigned:16384"
        return {"cluster_state:ok", *known} <= set(info)

    @property
    def url(self) -> str:
        """That of the store, all nodes named."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in (*self.nodes, *self.replicas))
        return f"redis+cluster://{hosts}"

    def client(self, **options: Any) -> redis.RedisCluster:
        return redis.RedisCluster("127.0.0.1", self.nodes[0].port, **options)

    def calls(self) -> dict[str, int]:
        """How often each command was executed, on all nodes together."""
        total: Counter[str] = Counter()
        for node in self.nodes:
            total.update(node.calls())
        return total

    def node_of(self, name: str) -> tuple[int, RedisServer]:
        """The slot of a key, and the node that serves it."""
        slot = key_slot(name.encode())
        at = next(number for number in range(3) if slot < self.LIMITS[number + 1])
        return slot, self._moved.get(slot, self.nodes[at])

    def migrate(self, name: str, moved: Callable[[], object]) -> None:
        """Move the slot of a key to another node, and call *moved* at each stage of it."""
        slot, source = self.node_of(name)
        target = self.nodes[(self.nodes.index(source) + 1) % 3]
        source_id, target_id = (node.ask("CLUSTER", "MYID").decode() for node in (source, target))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        moved()
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 20_000, "KEYS", *keys)
        moved()
        for node in (target, source, *self.nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        self._moved[slot] = target
        moved()

    def stop(self) -> None:
        for node in (*self.nodes, *self.replicas):
            node.stop()


def _wait_for_the_replica(server: RedisServer, name: str) -> None:
    """The link is up, and the replica online, up to a second before writes, as one to the key
    *name*, get there."""
    with server.admin() as client:
        client.set(name, 1, px=1)
        wait_until(lambda: client.wait(1, 1000) == 1, "the replica follows")


class RedisSentinel:
    """A master, a replica, and one Sentinel; who is silent for *down_after* ms is down for it."""

    NAME = "sessions"

    def __init__(self, directory: Path, *, down_after: int = 500) -> None:
        self.first = RedisServer(directory / "first").start()
        self.second = RedisServer(
            directory / "second", "--replicaof", f"127.0.0.1 {self.first.port}"
        ).start()
        _wait_for_the_replica(self.first, "first")
        self.port = free_port()
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.first.port} 1\n"
            f"sentinel down-after-milliseconds {self.NAME} {down_after}\n"
            f"sentinel failover-timeout {self.NAME} 4000\n"
        )
        program = require_program("redis-server", "redis-server")
        self.process = ServerProcess(
            [program, str(configuration), "--sentinel"], log=directory / "log"
        )
        self.process.start(self._knows_the_replica, seconds=20)

    def _knows_the_replica(self) -> None:
        with redis.Redis(port=self.port) as client:
            state = client.sentinel_master(self.NAME)
            assert state["num-slaves"] == 1, "not discovered yet"

    @contextmanager
    def client(self, **options: Any) -> Iterator[redis.Redis]:
        """What an application hands in: a client of whoever is the master."""
        with (
            Sentinel([("127.0.0.1", self.port)], **options) as manager,
            manager.master_for(self.NAME) as client,
        ):
            yield client

    def stop(self) -> None:
        self.process.stop()
        self.first.stop()
        self.second.stop()


def make_certificates(directory: Path) -> tuple[Path, Path]:
    """A key and a certificate for localhost that signs itself; both files in *directory*."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = directory / "key.pem", directory / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


def documented_rights() -> list[str]:
    """The ACL line in RedisStore's documentation, with the tests' password."""
    text = inspect.getdoc(RedisStore) or ""
    line = text.partition("ACL SETUSER sessions ")[2].partition("\n\n")[0]
    return line.replace("PASSWORD", PASSWORD).split()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for all tests that leave it as it is. Each takes a key prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def secured_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with a password, TLS on ``tls_port``, and the user of RedisStore's documentation."""
    directory = tmp_path_factory.mktemp("secured")
    key, certificate = make_certificates(directory)
    server = RedisServer(
        directory,
        *("--requirepass", PASSWORD),
        *("--tls-port", tls_port := free_port(), "--tls-auth-clients", "no"),
        *("--tls-cert-file", certificate, "--tls-key-file", key),
    )
    server.tls_port, server.certificate = tls_port, certificate
    server.admin_options = {"password": PASSWORD}
    server.start()
    server.ask("ACL", "SETUSER", "sessions", *documented_rights())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three nodes for all tests. One that moves slots takes a key prefix of its own."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def redis_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSentinel]:
    """A master with a replica under a Sentinel, for tests that leave the roles as they are."""
    sentinel = RedisSentinel(tmp_path_factory.mktemp("sentinel"), down_after=60_000)
    yield sentinel
    sentinel.stop()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """A function that starts a server of the test's own, with the options given to it."""
    servers: list[RedisServer] = []

    def start(*options: object) -> RedisServer:
        servers.append(RedisServer(tmp_path / f"redis{len(servers)}", *options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()
