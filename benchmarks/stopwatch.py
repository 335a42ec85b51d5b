"""Times of single calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle, islice
from time import perf_counter


def times(calls: Iterable[Callable[[], object]], count: int) -> list[float]:
    """Microseconds of *count* calls, of *calls* in turn; sorted."""
    taken = []
    for call in islice(cycle(calls), count):
        began = perf_counter()
        call()
        taken.append((perf_counter() - began) * 1e6)
    return sorted(taken)


def percentile(taken: list[float], percent: float) -> float:
    """Of sorted times; rounded to a tenth."""
    return round(taken[min(int(len(taken) * percent / 100), len(taken) - 1)], 1)
