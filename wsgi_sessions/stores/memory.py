"""A store in the memory of one process: for tests, for development, for a single worker."""

from __future__ import annotations

import heapq
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Stored, system_clock

if TYPE_CHECKING:
    from wsgi_sessions.cli.checks import Finding

logger: logging.Logger = logging.getLogger("wsgi_sessions")

WARN_EVERY = 60.0
"""Seconds between two warnings of one store: enough to be seen, and no flood under attack."""

# One lock for all: an operation takes about a microsecond, and fork can hold it meanwhile, so that
# a child never starts with half an operation or with a lock that nobody will release.
_lock = threading.Lock()
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)

T = TypeVar("T", str, tuple[str, str])


class _Ends(dict[T, float], Generic[T]):
    """When each item ends, and which end next.

    The heap also keeps ends that were moved or removed meanwhile; they are skipped when they come
    up, and the heap is built anew when they are the majority.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, T]] = []

    def set(self, item: T, end: float) -> None:
        self[item] = end
        heapq.heappush(self._heap, (end, item))
        if len(self._heap) > 2 * len(self) + 100:
            self._heap = [(end, item) for item, end in self.items()]
            heapq.heapify(self._heap)

    def pop_ended(self, now: float) -> T | None:
        while self._heap and self._heap[0][0] <= now:
            end, item = heapq.heappop(self._heap)
            if self.get(item) == end:
                del self[item]
                return item
        return None


class MemoryStore:
    """Keeps at most *max_sessions* records in this process.

    When it is full, what has expired goes first, then what was least recently used, with a warning.
    Nothing is shared with other processes: with several workers each would have its own sessions.
    No operation does I/O or raises :exc:`~wsgi_sessions.StoreUnavailable`.
    """

    def __init__(
        self, *, max_sessions: int = 10_000, clock: Callable[[], float] = system_clock
    ) -> None:
        if max_sessions < 1:
            raise ConfigurationError(f"max_sessions must be at least 1, not {max_sessions}")
        self._max_sessions = max_sessions
        self._clock = clock
        self._records: OrderedDict[str, Stored] = OrderedDict()  # least recently used first
        self._ends: _Ends[str] = _Ends()
        self._versions = count(1)
        self._owners: dict[str, set[str]] = {}
        self._note_ends: _Ends[tuple[str, str]] = _Ends()
        self._dropped = 0
        self._warned_at = -WARN_EVERY

    def load(self, key: str) -> Stored | None:
        now = self._clock()
        with _lock:
            return self._live(key, now)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        now = self._clock()
        with _lock:
            found = self._live(key, now)
            if (None if found is None else found.version) != replacing:
                return None
            version = next(self._versions)
            if expires_at <= now:
                self._drop(key)
                return version
            self._records[key] = Stored(data, version)
            self._records.move_to_end(key)
            self._ends.set(key, expires_at)
            self._make_room(now)
        self._warn()
        return version

    def touch(self, key: str, *, expires_at: float) -> bool:
        now = self._clock()
        with _lock:
            if self._live(key, now) is None:
                return False
            if expires_at <= now:
                self._drop(key)
            else:
                self._ends.set(key, expires_at)
            return True

    def delete(self, key: str) -> None:
        with _lock:
            self._drop(key)

    def purge(self, limit: int = 1000) -> int:
        now = self._clock()
        removed = 0
        while removed < limit:  # the lock is free between two
            with _lock:
                if not self._drop_ended(now):
                    break
            removed += 1
        self._purge_notes(limit)
        return removed

    def keys(self) -> Iterator[str]:
        now = self._clock()
        with _lock:
            live = [key for key, end in self._ends.items() if end > now]
        return iter(live)

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        with _lock:
            self._owners.setdefault(owner, set()).add(key)
            self._note_ends.set((owner, key), expires_at)
        self._purge_notes(2)

    def unlink(self, owner: str, key: str) -> None:
        with _lock:
            if self._note_ends.pop((owner, key), None) is not None:
                self._forget(owner, key)

    def findings(self) -> Iterator[Finding]:
        """For ``wsgi-sessions check``."""
        from wsgi_sessions.cli.checks import Finding, Level

        yield Finding(
            Level.WARNING,
            "sessions are kept in the memory of one process",
            "they are not shared between workers, and end with it",
            "another store",
        )

    def keys_of(self, owner: str) -> list[str]:
        now = self._clock()
        with _lock:
            noted = self._owners.get(owner, ())
            return [key for key in noted if self._note_ends[owner, key] > now]

    # What follows is called with the lock held.

    def _live(self, key: str, now: float) -> Stored | None:
        found = self._records.get(key)
        if found is None or self._ends[key] <= now:
            return None
        self._records.move_to_end(key)
        return found

    def _drop(self, key: str) -> None:
        if self._records.pop(key, None) is not None:
            del self._ends[key]

    def _drop_ended(self, now: float) -> bool:
        key = self._ends.pop_ended(now)
        if key is None:
            return False
        del self._records[key]
        return True

    def _make_room(self, now: float) -> None:
        """Two expired records a save, so that they never pile up; then the least recently used."""
        self._drop_ended(now)
        self._drop_ended(now)
        if len(self._records) > self._max_sessions:
            self._drop(next(iter(self._records)))
            self._dropped += 1

    def _forget(self, owner: str, key: str) -> None:
        keys = self._owners[owner]
        keys.discard(key)
        if not keys:
            del self._owners[owner]

    # And what follows is not.

    def _purge_notes(self, limit: int) -> None:
        now = self._clock()
        for _ in range(limit):
            with _lock:
                note = self._note_ends.pop_ended(now)
                if note is None:
                    return
                self._forget(*note)

    def _warn(self) -> None:
        if self._dropped and time.monotonic() - self._warned_at >= WARN_EVERY:
            self._warned_at = time.monotonic()
            dropped, self._dropped = self._dropped, 0
            logger.warning(
                "MemoryStore holds max_sessions=%d sessions: %d that had not expired "
                "dropped, least recently used first",
                self._max_sessions,
                dropped,
            )
