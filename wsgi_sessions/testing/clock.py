"""Clocks for tests: one that stands still, and one that is the time of the world."""

from __future__ import annotations

import time
from datetime import timedelta

__all__ = ["Clock", "ManualClock", "RealClock"]


class ManualClock:
    """Stands still until it is told to go on. Call it for the time; :attr:`now` can be set."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.now: float = start

    def __call__(self) -> float:
        return self.now

    def advance(self, by: float | timedelta) -> None:
        """Go on by seconds or a ``timedelta``."""
        self.now += by.total_seconds() if isinstance(by, timedelta) else by


class RealClock:
    """The same face for the time of the world: ``advance`` sleeps."""

    def __call__(self) -> float:
        return time.time()

    def advance(self, by: float | timedelta) -> None:
        """Sleep for seconds or a ``timedelta``."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds > 0:
            time.sleep(seconds)


Clock = ManualClock | RealClock
