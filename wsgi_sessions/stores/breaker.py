"""A store that hangs is left alone for a while, so that it does not hold every worker.

How this works. A store's own timeouts bound how long one request waits for it; a crowd of requests
would still wait, each as long, with all workers held. After five calls that failed slowly within
ten seconds (or twice the time that these calls took, if that is longer, as with long time limits)
the breaker opens: for one second the store is not called, every call raises
:exc:`~wsgi_sessions.StoreUnavailable` at once. Then one call is let through, the probe, and the
others go on failing until it has ended. If it succeeds the breaker closes, else another second
starts.

Only :exc:`~wsgi_sessions.StoreUnavailable` after 50 ms or more counts. What fails at once holds no
worker, and says little about the next call; and a store that is *busy*, because somebody holds a
lock or a replica does not confirm, is no dead one.

It counts by kind and by place. Loads have one breaker, all that writes has another, so that writes
that fail close no reads; and a store over several servers has both for each of them, so that the
probe of a server that hangs is a request for a session it holds, and the others go on.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.observe import no_event
from wsgi_sessions.stores.base import OwnerIndex, Store, Stored, place_of

__all__ = ["Breaker", "GuardedStore"]

P = ParamSpec("P")
T = TypeVar("T")

_FAILURES = 5
_WITHIN = 10.0  # seconds
_SLOW = 0.05  # seconds
_OPEN_FOR = 1.0  # seconds
_TRIES = 64  # for a key on another server: of two, the chance to find none is 2 to the -64
_LONGEST_PROBE = 10.0  # seconds; by a client without timeouts it might never end


def monotonic_clock() -> float:
    """Seconds. The function is looked up at each call, as by ``system_clock``."""
    return time.monotonic()


class Breaker:
    """Counts the failures of one store in this process; *what* names it in the log. *clock* is
    monotonic, in seconds. Closed, nothing here takes a lock."""

    __slots__ = (
        "_clock",
        "_event",
        "_failures",
        "_lock",
        "_log",
        "_probe_at",
        "_process",
        "_what",
        "open",
    )

    def __init__(
        self,
        log: ThrottledLog,
        clock: Callable[[], float] = monotonic_clock,
        event: Callable[[str, None], None] = no_event,
        what: str = "the store",
    ) -> None:
        self._log = log
        self._event = event
        self._clock = clock
        self._what = what
        self._start_over()

    def _start_over(self) -> None:
        """Closed, with a lock that nobody holds and no probe under way: as at the beginning, and in
        a child, where the thread that probed does not exist."""
        self._lock = threading.Lock()
        self._failures: deque[tuple[float, float]] = deque(maxlen=_FAILURES)  # begin and end
        self._probe_at = 0.0  # while open: nobody is let through before
        self._process = os.getpid()
        self.open: bool = False
        """Whether calls fail at once."""

    def call(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What *operation* returns or raises; :exc:`StoreUnavailable` at once while open."""
        started = self._clock()
        if self.open and self._is_admitted(started):
            return self._probe(operation, *args, **kwargs)
        try:
            return operation(*args, **kwargs)
        except StoreUnavailable as error:
            self.count(error, started)
            raise

    def _probe(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = operation(*args, **kwargs)
        except BaseException:
            self._probe_at = self._clock() + _OPEN_FOR
            raise
        self._close()
        return result

    def count(self, error: StoreUnavailable, started: float) -> None:
        """A call that was *started* at that time has raised *error*."""
        if error.busy:
            return
        now = self._clock()
        if self._process != os.getpid():
            self._start_over()
        if now - started < _SLOW or self.open:
            return
        failures = self._failures
        failures.append((started, now))
        took = sum(end - begin for begin, end in failures)
        within = max(_WITHIN, 2 * took)  # of one worker, five may take longer than ten seconds
        if len(failures) == _FAILURES and now - failures[0][1] <= within:
            self._trip(now)

    def _is_admitted(self, now: float) -> bool:
        """Whether this call is the probe. Raises if it is to fail at once."""
        if self._process != os.getpid():
            self._start_over()
        with self._lock:
            if self.open and now < self._probe_at:
                raise StoreUnavailable(
                    f"{self._what} was not called: {_FAILURES} failures in {_WITHIN:g} s",
                    applied=False,
                )
            self._probe_at = now + _LONGEST_PROBE
            return self.open

    def _trip(self, now: float) -> None:
        with self._lock:
            if self.open:
                return
            self._probe_at, self.open = now + _OPEN_FOR, True
        self._log.warning(
            "%s failed %d times in %g s: it is called once a second until it answers",
            *(self._what, _FAILURES, _WITHIN),
        )
        self._event("breaker_opened", None)

    def _close(self) -> None:
        with self._lock:
            closes, self.open = self.open, False
            self._failures.clear()
        if closes:
            self._log.warning("%s answers again", self._what)
            self._event("breaker_closed", None)


class _ByPlace(dict[Hashable, tuple[Breaker, Breaker]]):
    """The breakers of each server, for loads and for writes, made when it is first called."""

    def __init__(self, make: Callable[..., Breaker]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, place: Hashable) -> tuple[Breaker, Breaker]:
        loads = self._make(what=f"the store's server {place}")
        writes = self._make(what=f"saving on the store's server {place}")
        return self.setdefault(place, (loads, writes))


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
        make = partial(Breaker, log, clock, event)
        self.breaker: Breaker = make()
        """That of loads, and :attr:`write_breaker` that of all others, in a store of one place."""
        self.write_breaker: Breaker = make(what="saving in the store")
        self._place_of = place_of(store)
        self.has_places: bool = self._place_of is not None
        """Whether the store is of several servers, each with breakers of its own."""
        self._at = _ByPlace(make)
        self._clock = clock
        self._store = store
        self.name: str = type(store).__name__
        self.has_owners: bool = isinstance(store, OwnerIndex)
        self._owners = cast(OwnerIndex, store)

    def load(self, key: str) -> Stored | None:
        breaker = self.breaker if self._place_of is None else self._at[self._place_of(key)][0]
        if breaker.open:
            return breaker.call(self._store.load, key)
        started = time.monotonic() if self._clock is monotonic_clock else self._clock()
        try:  # as by call(), three calls less
            return self._store.load(key)
        except StoreUnavailable as error:
            breaker.count(error, started)
            raise

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        breaker = self.write_breaker if self._place_of is None else self._at[self._place_of(key)][1]
        save = self._store.save
        if breaker.open:
            return breaker.call(save, key, data, expires_at=expires_at, replacing=replacing)
        started = time.monotonic() if self._clock is monotonic_clock else self._clock()
        try:  # as load() does
            return save(key, data, expires_at=expires_at, replacing=replacing)
        except StoreUnavailable as error:
            breaker.count(error, started)
            raise

    def delete(self, key: str) -> None:
        self._writer(key)(self._store.delete, key)

    def reachable(self, key: str, make: Callable[[], str], *, failed: bool = False) -> str | None:
        """*key*, if its server is called and has not just *failed*; else one by *make* on another
        server, that is called. ``None`` where there is no other. No I/O."""
        place_of = self._place_of
        if place_of is None:
            return None if failed else key
        without = {place_of(key)} if failed else set()
        for _ in range(_TRIES):
            place = place_of(key)
            if place not in without and not self._at[place][0].open:
                return key
            key = make()
        return None

    def _writer(self, key: str) -> Callable[..., Any]:
        """What calls an operation that writes *key*."""
        if self._place_of is None:
            return self.write_breaker.call
        return self._at[self._place_of(key)][1].call

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,
    ) -> Hashable | None:
        answer: Hashable | None = self._writer(key)(
            *(self._owners.save_owned, key, data),
            expires_at=expires_at,
            replacing=replacing,
            owner=owner,
            was=was,
        )
        return answer

    def keys_of(self, owner: str) -> Sequence[str]:
        return self.breaker.call(self._owners.keys_of, owner)
