"""What the rules of stores are tested with: keys, threads that start at once, and the time."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from wsgi_sessions.testing.clock import Clock, RealClock

__all__ = ["TimedContract", "new_key", "together"]

T = TypeVar("T")


def new_key() -> str:
    """A key as the library makes them."""
    return secrets.token_urlsafe(16)


def together(count: int, function: Callable[[int], Any]) -> list[Any]:
    """What *function* returns in each of *count* threads that start at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class TimedContract:
    """Rules that need the time: fixtures, and how to wait for the end of a record."""

    late: float = 0.0
    """How many seconds after its end a record may still be there: 1 for a store that rounds up to
    whole seconds."""

    @pytest.fixture
    def clock(self) -> Clock:
        return RealClock()

    @pytest.fixture
    def later(self, clock: Clock) -> float:
        """An hour from now."""
        return clock() + 3600

    @pytest.fixture
    def soon(self, clock: Clock) -> float:
        """The end that :meth:`expired` waits for. Near enough to sleep for."""
        return clock() + 1.2

    def expired(self, clock: Clock, soon: float, arrange: Callable[[float], T]) -> T:
        """What ``arrange(end)`` returned before that end, which has gone by since.

        The end is *soon*. On a machine too busy for that *arrange* is called again, with twice the
        time. Waits as long after it as there was before it, since a store may send the time that
        is left, and count it from its arrival.
        """
        seconds = max(soon - clock(), 0.1)
        while True:
            end = clock() + seconds
            made = arrange(end)
            if clock() < end:
                clock.advance(seconds + self.late + 0.05)
                return made
            assert seconds < 60, "what comes before the end takes too long"
            seconds *= 2
