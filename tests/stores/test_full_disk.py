"""The embedded stores on a file system without room: an error, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENT
from wsgi_sessions import FileStore, SQLiteStore, Store, StoreUnavailable

STORES: dict[str, Callable[[Path], Store]] = {
    "file": lambda disk: FileStore(disk / "sessions", timeouts=PATIENT),
    "sqlite": lambda disk: SQLiteStore(disk / "sessions.db", timeouts=PATIENT),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, disk: Path) -> Iterator[Store]:
    store = STORES[request.param](disk)
    yield store
    if isinstance(store, SQLiteStore):
        store.close()


def fill(store: Store, later: float) -> dict[str, tuple[bytes, Hashable | None]]:
    """What was accepted until there was no more room: data and version by key."""
    accepted: dict[str, tuple[bytes, Hashable | None]] = {}
    for number in range(200):
        key, data = f"session-{number}", b"%d" % number * 20_000
        try:
            accepted[key] = data, store.save(key, data, expires_at=later, replacing=None)
        except StoreUnavailable:
            return accepted
    pytest.fail("the disk was never full")


def test_a_full_disk_is_an_error_and_loses_nothing(store: Store, disk: Path) -> None:
    """What was there stays and can be read, and it works again when there is room."""
    later = time.time() + 3600
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    accepted = fill(store, later)
    assert len(accepted) > 3
    key, (_, version) = next(iter(accepted.items()))

    with pytest.raises(StoreUnavailable):
        store.save(key, b"new" * 300_000, expires_at=later, replacing=version)

    for name, (data, _) in accepted.items():
        assert store.load(name) == (data, accepted[name][1])
    ballast.unlink()
    assert store.save(key, b"new" * 50_000, expires_at=later, replacing=version) is not None
    assert store.load("session-1") == accepted["session-1"]
