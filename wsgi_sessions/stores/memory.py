"""A store in the memory of one process: for tests, for development, for a single worker."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import count

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.base import Stored, system_clock
from wsgi_sessions.stores.forks import around_fork

logger: logging.Logger = logging.getLogger("wsgi_sessions")

WARNING_SECONDS = 60.0
"""Between two warnings of one store: enough to be seen, and no flood under attack."""

# One lock for all: an operation takes about a microsecond, and a fork holds it, so that a child
# never starts with half an operation or with a lock that nobody will release.
_lock = threading.Lock()
around_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class _Expiries(dict[str, float]):
    """When each record expires, and which expires next.

    The heap also keeps times that were moved or removed since; they are skipped when they come up,
    and the heap is built anew when they are the majority.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heap: list[tuple[float, str]] = []

    def set(self, key: str, expires_at: float) -> None:
        if self.get(key) == expires_at:
            return  # it is in the heap
        self[key] = expires_at
        heapq.heappush(self.heap, (expires_at, key))
        if len(self.heap) > 2 * len(self) + 100:
            self.heap = [(moment, key) for key, moment in self.items()]
            heapq.heapify(self.heap)

    def first_expired(self, now: float) -> str | None:
        while self.heap and self.heap[0][0] <= now:
            expires_at, key = self.heap[0]
            if self.get(key) == expires_at:
                return key
            heapq.heappop(self.heap)
        return None


class MemoryStore:
    """Keeps at most *max_sessions* records in this process.

    When it is full, what has expired goes first, then what was least recently used, with a warning.
    Nothing is shared with other processes: with several workers each would have its own sessions.
    No operation does I/O or raises :exc:`~wsgi_sessions.StoreUnavailable`, and none waits for
    anything, so there are no ``timeouts``.
    """

    def __init__(
        self, *, max_sessions: int = 10_000, clock: Callable[[], float] = system_clock
    ) -> None:
        if max_sessions < 1:
            raise ConfigurationError(f"max_sessions must be at least 1, not {max_sessions}")
        self._max_sessions = max_sessions
        self._clock = clock
        self._records: OrderedDict[str, Stored] = OrderedDict()  # least recently used first
        self._expiries = _Expiries()
        self._versions = count(1)
        self._owners: dict[str, str] = {}  # of the records that have one
        self._listed: dict[str, dict[str, None]] = {}  # their keys, in order
        self._dropped = 0
        self._warned_at = -WARNING_SECONDS

    def load(self, key: str) -> Stored | None:
        now = self._clock()
        with _lock:
            return self._live(key, now)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        now = self._clock()
        with _lock:
            version = self._save(key, data, expires_at, replacing, now)
        if self._dropped:
            self._warn()
        return version

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,  # noqa: ARG002 - it is known
    ) -> Hashable | None:
        now = self._clock()
        with _lock:
            version = self._save(key, data, expires_at, replacing, now)
            if version is not None and key in self._records:
                self._list(key, owner)
        if self._dropped:
            self._warn()
        return version

    def delete(self, key: str) -> None:
        with _lock:
            self._drop(key)

    def purge(self, limit: int = 1000) -> int:
        now = self._clock()
        removed = 0
        while removed < limit:  # the lock is free between two
            with _lock:
                if not self._drop_expired(now):
                    break
            removed += 1
        return removed

    def keys(self) -> Iterator[str]:
        now = self._clock()
        with _lock:
            live = [key for key, expires_at in self._expiries.items() if expires_at > now]
        return iter(live)

    def keys_of(self, owner: str) -> list[str]:
        now = self._clock()
        with _lock:
            listed = self._listed.get(owner, ())
            return [key for key in listed if self._expiries[key] > now]

    # What follows is called with the lock held.

    def _live(self, key: str, now: float) -> Stored | None:
        found = self._records.get(key)
        if found is None or self._expiries[key] <= now:
            return None
        self._records.move_to_end(key)
        return found

    def _save(
        self, key: str, data: bytes, expires_at: float, replacing: Hashable | None, now: float
    ) -> int | None:
        found = self._live(key, now)
        if (None if found is None else found.version) != replacing:
            return None
        if key in self._records and (found is None or expires_at <= now):
            self._drop(key)  # with the owner of what has expired there
        version = next(self._versions)
        if expires_at > now:
            self._records[key] = Stored(data, version)  # at the end, or moved there by _live()
            self._expiries.set(key, expires_at)
            if self._expiries.heap[0][0] <= now or len(self._records) > self._max_sessions:
                self._make_room(now)
        return version

    def _drop(self, key: str) -> None:
        if self._records.pop(key, None) is not None:
            del self._expiries[key]
            if key in self._owners:
                self._list(key, None)

    def _drop_expired(self, now: float) -> bool:
        key = self._expiries.first_expired(now)
        if key is None:
            return False
        self._drop(key)
        return True

    def _make_room(self, now: float) -> None:
        """Two expired records a save, so that they never pile up; then the least recently used."""
        self._drop_expired(now)
        self._drop_expired(now)
        if len(self._records) > self._max_sessions:
            self._drop(next(iter(self._records)))
            self._dropped += 1

    def _list(self, key: str, owner: str | None) -> None:
        """Under *owner*, and under no other; where it is already, it keeps its place."""
        was = self._owners.get(key)
        if was == owner:
            return
        if was is not None:
            del self._owners[key], self._listed[was][key]
            if not self._listed[was]:
                del self._listed[was]
        if owner is not None:
            self._owners[key] = owner
            self._listed.setdefault(owner, {})[key] = None

    # And what follows is not.

    def _warn(self) -> None:
        if time.monotonic() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = time.monotonic()
            dropped, self._dropped = self._dropped, 0
            logger.warning(
                "MemoryStore holds max_sessions=%d sessions: %d that had not expired "
                "dropped, least recently used first",
                self._max_sessions,
                dropped,
            )
