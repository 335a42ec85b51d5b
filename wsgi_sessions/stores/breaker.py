"""A store that hangs is left alone for a while, so that it does not hold every worker.

How this works. A store's own timeouts bound how long one request waits for it; a crowd of requests
would still wait, each as long, with all workers held. After five calls that failed slowly within
ten seconds the breaker opens: for one second nobody asks the store, every call raises
:exc:`~wsgi_sessions.StoreUnavailable` at once. Then one call is let through, the probe, and the
others go on failing until it has ended. If it succeeds the breaker closes, else another second
begins.

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
from wsgi_sessions.stores.base import OwnerIndex, Store, Stored

__all__ = ["Breaker", "GuardedStore"]

P = ParamSpec("P")
T = TypeVar("T")

_FAILURES = 5
_WITHIN = 10.0  # seconds
_SLOW = 0.05  # seconds
_OPEN_FOR = 1.0  # seconds
_LONGEST_PROBE = 10.0  # seconds; by a client without timeouts it might never end


class Breaker:
    """Counts the failures of one store in this process. *clock* is monotonic, in seconds.

    While :attr:`open` is false, a caller may ask the store without :meth:`call`, which saves a
    Python call, if it hands what fails to :meth:`failed`. Closed, nothing here takes a lock.
    """

    __slots__ = ("_clock", "_failures", "_lock", "_log", "_probe_at", "open")

    def __init__(self, log: ThrottledLog, clock: Callable[[], float] = time.monotonic) -> None:
        self.open = False
        self._log = log
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=_FAILURES)
        self._probe_at = 0.0  # while open: nobody is let through before
        self._lock = threading.Lock()

    def call(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What *operation* returns or raises; :exc:`StoreUnavailable` at once while open."""
        begun = self._clock()
        probing = self.open and self._is_admitted(begun)
        try:
            result = operation(*args, **kwargs)
        except BaseException as error:
            if probing:
                self._probe_at = self._clock() + _OPEN_FOR
            elif isinstance(error, StoreUnavailable):
                self.failed(self._clock() - begun)
            raise
        if probing:
            self._close()
        return result

    def failed(self, after: float) -> None:
        """A call has raised :exc:`StoreUnavailable` *after* so many seconds."""
        if after < _SLOW or self.open:
            return
        now = self._clock()
        self._failures.append(now)
        if len(self._failures) == _FAILURES and now - self._failures[0] <= _WITHIN:
            self._open(now)

    def _is_admitted(self, now: float) -> bool:
        """Whether this call is the probe. Raises if it is to fail at once."""
        with self._lock:
            if self.open and now < self._probe_at:
                raise StoreUnavailable(
                    f"the store was not asked: {_FAILURES} failures in {_WITHIN:g} s"
                )
            self._probe_at = now + _LONGEST_PROBE
            return self.open

    def _open(self, now: float) -> None:
        with self._lock:
            if self.open:
                return
            self._probe_at, self.open = now + _OPEN_FOR, True
        self._log.warning(
            "the store failed %d times in %g s: it is asked once a second until it answers",
            *(_FAILURES, _WITHIN),
        )

    def _close(self) -> None:
        with self._lock:
            closes, self.open = self.open, False
            self._failures.clear()
        if closes:
            self._log.warning("the store answers again")


class GuardedStore:
    """*store* behind *breaker*, with the operations that sessions need of it."""

    def __init__(self, store: Store, breaker: Breaker) -> None:
        self._store = store
        self._owners = cast(OwnerIndex, store)  # only asked if it is one
        self._call = breaker.call

    def load(self, key: str) -> Stored | None:
        return self._call(self._store.load, key)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        return self._call(self._store.save, key, data, expires_at=expires_at, replacing=replacing)

    def touch(self, key: str, *, expires_at: float) -> bool:
        return self._call(self._store.touch, key, expires_at=expires_at)

    def delete(self, key: str) -> None:
        self._call(self._store.delete, key)

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        self._call(self._owners.link, owner, key, expires_at=expires_at)

    def unlink(self, owner: str, key: str) -> None:
        self._call(self._owners.unlink, owner, key)
