"""The stores that are broken meanwhile, and how."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.dynamodb import CREDENTIALS, DynamoDBServer
from tests.servers.memcached import MemcachedServer
from tests.servers.postgresql import PostgreSQL, new_directory
from tests.servers.redis import RedisServer

Act = Callable[[], Any]


@dataclass
class Target:
    """A store, by its URL; each fault is begun and ended by two functions."""

    url: str
    faults: dict[str, tuple[Act, Act]]
    environment: dict[str, str] = field(default_factory=dict)


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
        yield Target(
            server.url,
            {
                "killed": (process.kill, server.start),
                "full": (lambda: limit(1), lambda: limit(0)),
                "stalled": (
                    lambda: process.signal(signal.SIGSTOP),
                    lambda: process.signal(signal.SIGCONT),
                ),
                "stopped": (process.stop, server.start),
            },
        )
    finally:
        server.stop()


@contextmanager
def postgresql(directory: Path) -> Iterator[Target]:
    place = new_directory("wsgi-sessions-soak-")
    server = PostgreSQL(place)
    try:
        server.create()
        server.start()
        yield Target(
            server.url().replace("postgresql:", "postgresql+psycopg:"),
            {
                "killed": (server.crash, server.start),
                "stalled": (
                    lambda: server.signal_all(signal.SIGSTOP),
                    lambda: server.signal_all(signal.SIGCONT),
                ),
            },
        )
    finally:
        server.crash()
        shutil.rmtree(place)


@contextmanager
def memcached(directory: Path) -> Iterator[Target]:
    """Stalled only: it keeps nothing that it could come back with."""
    server = MemcachedServer(directory)
    try:
        yield Target(
            f"memcached://{server.address}",
            {"stalled": (server.stall, server.go_on)},
            {"SOAK_SECRET": "a signing secret that Memcached could evict"},
        )
    finally:
        server.go_on()
        server.kill()


@contextmanager
def sqlite(directory: Path) -> Iterator[Target]:
    """Locked by another writer; full if it can have a file system of its own, which takes root."""
    disk = directory / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    file = disk / "sessions.db"
    ballast = disk / "ballast"
    others: list[sqlite3.Connection] = []

    def lock() -> None:
        other = sqlite3.connect(file, isolation_level=None, timeout=10)
        others.append(other)
        other.execute("BEGIN IMMEDIATE")

    def unlock() -> None:
        other = others.pop()
        other.execute("ROLLBACK")
        other.close()

    def fill() -> None:
        with ballast.open("wb", buffering=0) as room:
            try:
                while room.write(bytes(4096)):
                    pass
            except OSError:
                pass

    faults: dict[str, tuple[Act, Act]] = {"locked": (lock, unlock)}
    if mounted:
        faults["full"] = fill, ballast.unlink
    try:
        yield Target(f"sqlite:///{file}", faults)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def dynamodb(directory: Path) -> Iterator[Target]:
    """Stalled, throttled and failing: the stand-in keeps nothing that it could come back with."""
    server = DynamoDBServer(directory)

    def fail(code: str, status: int) -> tuple[Act, Act]:
        def begin() -> None:
            server.fail(code, status, times=1_000_000)

        def finish() -> None:
            server.fail(code, status, times=0)

        return begin, finish

    try:
        server.restart()
        yield Target(
            server.url("soak"),
            {
                "stalled": (
                    lambda: server.signal(signal.SIGSTOP),
                    lambda: server.signal(signal.SIGCONT),
                ),
                "throttled": fail("ThrottlingException", 400),
                "failing": fail("InternalServerError", 500),
            },
            CREDENTIALS,
        )
    finally:
        server.stop()


TARGETS = {
    "redis": redis,
    "postgresql": postgresql,
    "memcached": memcached,
    "sqlite": sqlite,
    "dynamodb": dynamodb,
}
