"""Problems of a store in memory, and their remedy."""

from __future__ import annotations

from collections.abc import Iterator

from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.stores import MemoryStore


def check(_store: MemoryStore) -> Iterator[Finding]:
    """There is one, whatever the options."""
    yield Finding(
        Level.WARNING,
        "sessions are kept in the memory of one process",
        "they are not shared between workers, and are lost when it ends",
        "another store",
    )
