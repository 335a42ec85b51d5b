"""The one way to a store, where an observer listens.

How this works. An :class:`ObservedStore` takes the place of the
:class:`~wsgi_sessions.stores.GuardedStore`, so that who has no observer pays nothing for it. It
stands in front of the breaker: what that refuses was asked for, and is reported as unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import ParamSpec, TypeVar

from wsgi_sessions.errors import StoreError
from wsgi_sessions.log import ThrottledLog
from wsgi_sessions.observe import Observer
from wsgi_sessions.stores.base import Store, Stored
from wsgi_sessions.stores.breaker import GuardedStore, monotonic_clock

__all__ = ["ObservedStore"]

P = ParamSpec("P")
T = TypeVar("T")


class ObservedStore(GuardedStore):
    """A guarded *store*, called *name*, that reports each call to *observer*, which must not raise.

    A :exc:`~wsgi_sessions.StoreError` is reported as ``unavailable``, any other exception not at
    all; all are passed on.
    """

    def __init__(
        self,
        store: Store,
        log: ThrottledLog,
        clock: Callable[[], float] = monotonic_clock,
        *,
        name: str,
        observer: Observer,
    ) -> None:
        super().__init__(store, log, clock, observer.event)
        self._name = name
        self._observer = observer

    def load(self, key: str) -> Stored | None:
        return self._observed("load", "missing", super().load, key)

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        save = super().save
        return self._observed(
            "save", "refused", save, key, data, expires_at=expires_at, replacing=replacing
        )

    def delete(self, key: str) -> None:
        self._observed("delete", "ok", super().delete, key)

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
        return self._observed(
            "save_owned",
            "refused",
            super().save_owned,
            key,
            data,
            expires_at=expires_at,
            replacing=replacing,
            owner=owner,
            was=was,
        )

    def keys_of(self, owner: str) -> Sequence[str]:
        return self._observed("keys_of", "ok", super().keys_of, owner)

    def _observed(
        self,
        name: str,
        without_result: str,
        operation: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What *operation* returns or raises; *without_result* is the outcome that ``None`` is."""
        started = self._clock()
        try:
            result = operation(*args, **kwargs)
        except StoreError:
            self._report(name, "unavailable", started)
            raise
        self._report(name, without_result if result is None else "ok", started)
        return result

    def _report(self, operation: str, outcome: str, started: float) -> None:
        self._observer.store_call(self._name, operation, outcome, self._clock() - started)
