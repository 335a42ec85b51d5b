"""Watching: what an application may hear of its sessions and of the store behind them.

An observer is given as the option ``observer``. It is called in the thread of the request, after
the fact, and should return soon: it counts, or it puts something into a queue. What it raises is
logged once for each kind and never breaks a request.

Its :meth:`~Observer.store_call` hears each call of an operation of the store:

===============  ===============================================================================
``ok``           The store did what was asked.
``missing``      A ``load`` found nothing: the session has expired, was ended, or never existed.
``refused``      A save was refused by compare-and-set, because another request was faster.
``unavailable``  A :exc:`~wsgi_sessions.StoreError`: unreachable, too slow, full, read-only. Also,
                 after no time, a call that the breaker did not let through: the visitor had an
                 error either way.
===============  ===============================================================================

A call that raises anything else is not heard of: a mistake in the program is not an outage, and is
in the server's own error log.

Its :meth:`~Observer.event` hears what became of sessions:

==================  ============================================================================
``created``         A record was stored under a new id, also for a session that was migrated.
``renewed``         The lifetime of a session in use was extended.
``regenerated``     A session got a new secret without a login: ``regenerate()``, ``clear()``, a
                    step-up, a logout by a login key.
``login``           An owner was stored, by ``login()`` or a login key. That is no ``regenerated``.
``ended``           A session was ended by ``invalidate()`` or by becoming empty; not by time.
``superseded``      Changes of a request were dropped: its session was replaced or ended meanwhile.
``conflict``        A save met the save of another request, and was or will be merged with it.
``refused``         A cookie was refused: not signed by us, with a wrong secret, or one of several.
``damaged``         A record, or a value in one, cannot be read. Not one of a newer release or of a
                    key that this process does not have.
``breaker_opened``  The store has failed so often that it is called once a second only.
``breaker_closed``  It answers again.
==================  ============================================================================

The id is that of the session, which is safe in a log; ``None`` where no session is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from wsgi_sessions.errors import cannot_import
from wsgi_sessions.log import ThrottledLog

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["EVENTS", "OUTCOMES", "GuardedObserver", "Observer", "PrometheusObserver", "no_event"]

OUTCOMES = ("ok", "missing", "refused", "unavailable")
"""Of a call to the store."""

EVENTS = (
    *("created", "renewed", "regenerated", "login", "ended", "superseded", "conflict"),
    *("refused", "damaged", "breaker_opened", "breaker_closed"),
)
"""The names of all events."""

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds. A Redis on the same network answers within the first ones; the timeouts of the stores,
0.25 s and 0.5 s, and two of them together, are among the last."""


class Observer(Protocol):
    """Hears every call to the store and every event. Called by many threads at once."""

    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        """*operation* (``load``, ``save``, ``delete``, …) of *store* (``redis``, ``sqlite``, …, the
        class's name in lower case without ``Store``) had this *outcome*, one of :data:`OUTCOMES`,
        after *seconds*."""

    def event(self, name: str, id: str | None) -> None:
        """*name*, one of :data:`EVENTS`, happened to the session *id*."""


def no_event(name: str, id: str | None) -> None:
    """What is called for an event where nobody observes."""


class GuardedObserver:
    """*observer*, whose exceptions are logged, once for each kind, and go no further."""

    def __init__(self, observer: Observer, log: ThrottledLog) -> None:
        self._observer = observer
        self._log = log
        self._logged: set[tuple[str, type[Exception]]] = set()

    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        """As of :class:`Observer`. Raises nothing."""
        try:
            self._observer.store_call(store, operation, outcome, seconds)
        except Exception as error:  # noqa: BLE001  # whatever it is, the session is more important
            self._note("store_call", error)

    def event(self, name: str, id: str | None) -> None:
        """As of :class:`Observer`. Raises nothing."""
        try:
            self._observer.event(name, id)
        except Exception as error:  # noqa: BLE001
            self._note("event", error)

    def _note(self, method: str, error: Exception) -> None:
        kind = method, type(error)
        if kind not in self._logged:
            self._logged.add(kind)
            self._log.error("the observer's %s failed; the next time it is not logged", method)


class PrometheusObserver:
    """Counts for Prometheus, in *registry* or else in ``prometheus_client.REGISTRY``.

    ``wsgi_sessions_store_call_duration_seconds`` is a histogram with the labels ``store``,
    ``operation`` and ``outcome``; ``wsgi_sessions_events_total`` is a counter with the label
    ``event``. No label ever holds an id. Several observers of one registry count together. Works in
    ``prometheus_client``'s multiprocess mode. Raises
    :exc:`~wsgi_sessions.ConfigurationError` if ``prometheus_client`` is not installed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError as error:
            needs = "PrometheusObserver needs prometheus-client"
            raise cannot_import(error, needs, "wsgi-sessions[prometheus]") from error
        self._calls, self._events = _metrics_of(REGISTRY if registry is None else registry)

    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        """As of :class:`Observer`."""
        self._calls.labels(store, operation, outcome).observe(seconds)

    def event(self, name: str, id: str | None) -> None:  # noqa: ARG002  # a label for each: no end
        """As of :class:`Observer`."""
        self._events.labels(name).inc()


_made: WeakKeyDictionary[CollectorRegistry, tuple[Histogram, Counter]] = WeakKeyDictionary()


def _metrics_of(registry: CollectorRegistry) -> tuple[Histogram, Counter]:
    """The metrics in *registry*, which takes each name once only."""
    if registry not in _made:
        from prometheus_client import Counter, Histogram

        calls = Histogram(
            "wsgi_sessions_store_call_duration_seconds",
            "Calls to the store of the sessions.",
            ("store", "operation", "outcome"),
            buckets=BUCKETS,
            registry=registry,
        )
        events = Counter(
            "wsgi_sessions_events", "What became of sessions.", ("event",), registry=registry
        )
        for name in EVENTS:
            events.labels(name)  # zero: a rate knows the first one only as a step from there
        _made[registry] = calls, events
    return _made[registry]
