"""A store that hangs is left alone for a while, so that it does not hold every worker.

How this works. A store's own timeouts bound how long one request waits for it; a crowd of requests
would still wait, each as long, with all workers held. After five calls that failed slowly within
ten seconds the breaker opens: for one second the store is not called, every call raises
:exc:`~wsgi_sessions.StoreUnavailable` at once. Then one call is let through, the probe, and the
others go on failing until it has ended. If it succeeds the breaker closes, else another second
starts.

Only :exc:`~wsgi_sessions.StoreUnavailable` after 50 ms or more counts. What fails at once holds no
worker, and says little about the next call: a store that is full refuses to save and still loads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import ParamSpec, TypeVar, cast

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.observe import no_event
from wsgi_sessions.stores.base import OwnerIndex, Store, Stored

__all__ = ["Breaker", "GuardedStore"]

P = ParamSpec("P")
T = TypeVar("T")

_FAILURES = 5
_WITHIN = 10.0  # seconds
_SLOW = 0.05  # seconds
_OPEN_FOR = 1.0  # seconds
_LONGEST_PROBE = 10.0  # seconds; by a client without timeouts it might never end


def monotonic_clock() -> float:
    """Seconds. The function is looked up at each call, as by ``system_clock``."""
    return time.monotonic()


class Breaker:
    """Counts the failures of one store in this process. *clock* is monotonic, in seconds. Closed,
    nothing here takes a lock."""

    __slots__ = ("_clock", "_event", "_failures", "_lock", "_log", "_open", "_probe_at")

    def __init__(
        self,
        log: ThrottledLog,
        clock: Callable[[], float] = monotonic_clock,
        event: Callable[[str, None], None] = no_event,
    ) -> None:
        self._open = False
        self._log = log
        self._event = event
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=_FAILURES)
        self._probe_at = 0.0  # while open: nobody is let through before
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether calls fail at once."""
        return self._open

    def call(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What *operation* returns or raises; :exc:`StoreUnavailable` at once while open."""
        started = self._clock()
        if self._open and self._is_admitted(started):
            return self._probe(operation, *args, **kwargs)
        try:
            return operation(*args, **kwargs)
        except StoreUnavailable:
            self._count(started)
            raise

    def _probe(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = operation(*args, **kwargs)
        except BaseException:
            self._probe_at = self._clock() + _OPEN_FOR
            raise
        self._close()
        return result

    def _count(self, started: float) -> None:
        """A call that was *started* at that time has raised :exc:`StoreUnavailable`."""
        now = self._clock()
        if now - started < _SLOW or self._open:
            return
        self._failures.append(now)
        if len(self._failures) == _FAILURES and now - self._failures[0] <= _WITHIN:
            self._trip(now)

    def _is_admitted(self, now: float) -> bool:
        """Whether this call is the probe. Raises if it is to fail at once."""
        with self._lock:
            if self._open and now < self._probe_at:
                raise StoreUnavailable(
                    f"the store was not called: {_FAILURES} failures in {_WITHIN:g} s"
                )
            self._probe_at = now + _LONGEST_PROBE
            return self._open

    def _trip(self, now: float) -> None:
        with self._lock:
            if self._open:
                return
            self._probe_at, self._open = now + _OPEN_FOR, True
        self._log.warning(
            "the store failed %d times in %g s: it is called once a second until it answers",
            *(_FAILURES, _WITHIN),
        )
        self._event("breaker_opened", None)

    def _close(self) -> None:
        with self._lock:
            closes, self._open = self._open, False
            self._failures.clear()
        if closes:
            self._log.warning("the store answers again")
            self._event("breaker_closed", None)


class GuardedStore:
    """*store* behind a breaker: the one way from a session to its store.

    The operations are those of :class:`~wsgi_sessions.stores.Store` and, if :attr:`has_owners`, of
    :class:`~wsgi_sessions.stores.OwnerIndex`.
    """

    def __init__(
        self,
        store: Store,
        log: ThrottledLog,
        clock: Callable[[], float] = monotonic_clock,
        event: Callable[[str, None], None] = no_event,
    ) -> None:
        self.breaker: Breaker = Breaker(log, clock, event)
        self._call = self.breaker.call
        self._store = store
        self.has_owners: bool = isinstance(store, OwnerIndex)
        self._owners = cast(OwnerIndex, store)

    def load(self, key: str) -> Stored | None:
        return self._call(self._store.load, key)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        return self._call(self._store.save, key, data, expires_at=expires_at, replacing=replacing)

    def delete(self, key: str) -> None:
        self._call(self._store.delete, key)

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        self._call(self._owners.link, owner, key, expires_at=expires_at)

    def unlink(self, owner: str, key: str) -> None:
        self._call(self._owners.unlink, owner, key)
