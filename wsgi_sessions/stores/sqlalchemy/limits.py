"""The time limits of the SQLAlchemy store, all derived from its timeouts."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from wsgi_sessions.stores.timeouts import Timeouts

__all__ = ["Limits", "limits_of"]


class Limits(NamedTuple):
    """Seconds. An operation ends after ``retry + login + answer``, 1.1 by default; a load or delete
    whose kept connection had died without a word after ``answer + login + answer``, 1.4."""

    connect: float
    login: float
    """To connect, with the authentication, which starts a process in PostgreSQL."""
    answer: float
    server: float
    """For a statement: the server gives up first, so that it does nothing nobody waits for."""
    lock: int
    """The same for a lock of MySQL, which takes whole seconds, 1 at least."""
    pool: float
    """For a connection of the pool; who waited for one need not connect."""
    retry: float
    """A second attempt begins within this time."""
    fork: float
    """For which a fork waits at most: a statement may take half of it."""


def limits_of(timeouts: Timeouts) -> Limits:
    """The limits of a store with these *timeouts*."""
    connect, answer = timeouts.connect, timeouts.answer
    return Limits(
        connect=connect,
        login=connect + 0.3 * answer,
        answer=answer,
        server=0.9 * answer,
        lock=max(1, ceil(0.9 * answer)),
        pool=answer,
        retry=0.4 * answer,
        fork=2 * answer,
    )
