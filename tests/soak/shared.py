"""What the processes of one run know of each other."""

from __future__ import annotations

import time
from multiprocessing.context import SpawnContext
from typing import Any

PATIENCE = 30.0  # seconds until a store has to work again, after the last fault


class Run:
    """What the processes of one run know of each other, and what their visitors are like: whether
    a store that cannot be read is shown to them as an empty session, and how long they pause."""

    def __init__(
        self, context: SpawnContext, processes: int, *, anonymous: bool, pause: float
    ) -> None:
        self.anonymous, self.pause = anonymous, pause
        self.storm = context.Event()
        """Set while visitors ask for the page that forks."""
        self.begun = context.Barrier(processes + 1)
        self.over = context.Event()
        self._written = context.Value("L")
        self._refused = context.Value("L")
        self._forked = context.Value("L")

    def note_refusal(self) -> None:
        _increment(self._refused)

    def note_write(self) -> None:
        _increment(self._written)

    def note_fork(self) -> None:
        _increment(self._forked)

    def forks(self) -> int:
        """How many there were since the last call."""
        with self._forked.get_lock():
            count, self._forked.value = self._forked.value, 0
        return int(count)

    def wait_for_a_refusal(self) -> None:
        """Return when somebody has been refused since; or after :data:`PATIENCE`."""
        _wait_for(self._refused, self._refused.value + 1)

    def wait_for_a_fork(self) -> None:
        """Return when there was one since :meth:`forks`; or after :data:`PATIENCE`."""
        _wait_for(self._forked, 1)

    def wait_for_writes(self) -> None:
        """Return when a second's writes were confirmed since; or after :data:`PATIENCE`."""
        _wait_for(self._written, self._written.value + max(5, round(10 / self.pause)))


def _increment(count: Any) -> None:
    with count.get_lock():
        count.value += 1


def _wait_for(count: Any, number: int) -> None:
    end = time.monotonic() + PATIENCE
    while count.value < number and time.monotonic() < end:
        time.sleep(0.01)
