"""Problems with a directory of sessions, and their remedies."""

from __future__ import annotations

import os
from collections.abc import Iterator

from wsgi_sessions.cli.checks.checks import (
    COUNT_LIMIT,
    check_expired,
    check_load_time,
    check_operations,
)
from wsgi_sessions.cli.checks.disk import (
    check_creatable,
    check_local,
    check_owner,
    check_private,
    check_room,
)
from wsgi_sessions.cli.checks.finding import Finding
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.file import FileStore


def check(store: FileStore) -> Iterator[Finding]:
    """Directory, room, and what waits for a purge."""
    directory = store.directory
    yield from check_local(os.path.dirname(directory))
    if not os.path.exists(directory):
        yield check_creatable(directory)
        return
    try:
        yield check_load_time(store, directory)
        yield check_private(directory)
        yield from check_local(directory)
        yield from check_room(directory)
        yield check_expired(store.expired(COUNT_LIMIT))
    except OSError as error:
        raise StoreUnavailable(f"session directory {directory}: {error.strerror}") from error
    yield check_owner(directory) or check_operations(store)
