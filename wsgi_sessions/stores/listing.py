"""What the lists of owners have in common, where a store keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count

__all__ = ["entry_end", "places"]

_DAY = 86_400.0
_CLOCKS_DIFFER = 60.0  # seconds


def places(clock: Callable[[], float]) -> Iterator[int]:
    """Numbers of 64 bits for what is listed, each above the last: nanoseconds since the epoch, and
    one more for each that this store has listed."""

    def place(number: int) -> int:
        return math.floor(clock() * 1e6) * 1000 + number

    return map(place, count())  # which many threads may ask at once, unlike a generator


def entry_end(expires_at: float, now: float) -> float:
    """When an entry ends that is kept apart from its record: until the next renewal an ordinary
    save may move the record's end by the time that has passed, at most a tenth of what is left or a
    day; and the clocks of hosts may differ by a minute."""
    return expires_at + min(max(expires_at - now, 0.0) / 10, _DAY) + _CLOCKS_DIFFER
