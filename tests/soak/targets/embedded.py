"""SQLite and files, which have no server."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak.faults import Act, Fault, Target, repeated, writes

TURNS = 0.25, 0.02
"""Seconds for which somebody else has the lock, and not, so that writes are slow."""


@contextmanager
def sqlite(directory: Path) -> Iterator[Target]:
    """Locked by another writer; full if it can have a file system of its own, which takes root."""
    with own_disk(directory) as (disk, faults):
        file = disk / "sessions.db"
        others: list[sqlite3.Connection] = []

        def lock() -> None:
            other = sqlite3.connect(file, isolation_level=None, timeout=10, check_same_thread=False)
            others.append(other)
            other.execute("BEGIN IMMEDIATE")

        def unlock() -> None:
            other = others.pop()
            other.execute("ROLLBACK")
            other.close()

        faults |= locked(lock, unlock)
        yield Target(f"sqlite:///{file}", faults)


@contextmanager
def file(directory: Path) -> Iterator[Target]:
    """The same; each shard of a directory of sessions has a lock."""
    with own_disk(directory) as (disk, faults):
        place = disk / "sessions"
        held: list[int] = []

        def lock() -> None:
            for shard in place.iterdir():
                held.append(os.open(shard, os.O_RDONLY))
                fcntl.flock(held[-1], fcntl.LOCK_EX)

        def unlock() -> None:
            while held:
                os.close(held.pop())

        faults |= locked(lock, unlock)
        yield Target(f"file://{place}", faults)


def locked(lock: Act, unlock: Act) -> dict[str, Fault]:
    """By another writer, all the time or in turns."""

    def turn() -> None:
        lock()
        time.sleep(TURNS[0])
        unlock()

    return {
        "locked": Fault(lock, unlock, writes),
        "slow to write": repeated(turn, TURNS[1], writes),
    }


@contextmanager
def own_disk(directory: Path) -> Iterator[tuple[Path, dict[str, Fault]]]:
    """A file system that can be full, where it can be mounted; and that fault."""
    disk = directory / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield disk, {}
        return
    ballast = disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as room:
            try:
                while room.write(bytes(4096)):
                    pass
            except OSError:
                pass

    try:
        yield disk, {"full": Fault(fill, ballast.unlink, writes)}
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
