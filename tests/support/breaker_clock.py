"""The clock of a manager's breakers, for tests that do not sleep."""

from __future__ import annotations

from collections.abc import Callable

from wsgi_sessions import SessionManager


def set_breaker_clock(manager: SessionManager, clock: Callable[[], float]) -> None:
    """Let the breakers of *manager*'s store, that of loads and that of writes, go by *clock*."""
    store = manager.repository.store
    store._clock = store.breaker._clock = store.write_breaker._clock = clock
