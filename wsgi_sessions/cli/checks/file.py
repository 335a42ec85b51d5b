"""What is not so with a directory of sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import wsgi_sessions.cli.checks.checks as health
import wsgi_sessions.cli.checks.disk as health_disk
from wsgi_sessions.cli.checks.checks import Finding
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.file import listing

if TYPE_CHECKING:
    from wsgi_sessions.stores.file import FileStore


def findings(store: FileStore, directory: str, now: float) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`."""
    yield from health_disk.network(os.path.dirname(directory))
    if not os.path.exists(directory):
        yield health_disk.can_be_made(directory)
        return
    try:
        yield health.reach_by_load(store, directory)
        yield health_disk.private(directory)
        yield from health_disk.network(directory)
        yield from health_disk.room(directory)
        yield _expired(directory, now)
    except OSError as error:
        raise StoreUnavailable(f"session directory {directory}: {error.strerror}") from error
    yield health_disk.owned(directory) or health.probe(store)


def _expired(directory: str, now: float) -> Finding:
    count, oldest = 0, 0.0
    for entry in os.scandir(directory):
        if count >= health.MOST or not entry.is_dir(follow_symlinks=False):
            continue
        shard = os.open(entry.path, os.O_RDONLY)
        try:
            ages = [now - end for _, end in listing(shard) if end <= now]
        finally:
            os.close(shard)
        count += len(ages)
        oldest = max([oldest, *ages])
    return health.expired(count, oldest)
