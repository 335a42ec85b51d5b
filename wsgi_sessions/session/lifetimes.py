"""How long sessions live: pure arithmetic on a record and the time."""

from __future__ import annotations

from wsgi_sessions.record import Record
from wsgi_sessions.stores import CENTURY

__all__ = ["Lifetimes"]


class Lifetimes:
    """Idle lifetimes of ordinary and permanent sessions, and the absolute one; in seconds."""

    __slots__ = ("_absolute", "_ordinary", "_permanent", "longest")

    def __init__(self, ordinary: float, permanent: float, absolute: float | None) -> None:
        self._ordinary = ordinary
        self._permanent = permanent
        self._absolute = CENTURY if absolute is None else absolute
        self.longest: float = min(max(ordinary, permanent), self._absolute)
        """An older cookie cannot open anything."""

    def idle(self, record: Record) -> float:
        return self._permanent if record.permanent else self._ordinary

    def idle_end(self, record: Record, now: float) -> float:
        """When the session ends if nobody uses it after *now*."""
        return min(now + self.idle(record), self.absolute_end(record))

    def absolute_end(self, record: Record) -> float:
        """When it ends however much it is used."""
        return record.created_at + self._absolute

    def is_over(self, record: Record, issued_at: float, now: float) -> bool:
        """Whether a lifetime has ended, whatever the store's own expiry and clock say."""
        saved_at = record.saved_at
        last_used = saved_at if saved_at > issued_at else issued_at
        return now - last_used >= self.idle(record) or now >= record.created_at + self._absolute

    def renewal_due(self, record: Record, issued_at: float, now: float) -> bool:
        """Whether the cookie is older than a tenth of the idle lifetime. (Or dated that far in the
        future, which a clock that was set back leaves behind.)"""
        return abs(now - issued_at) > self.idle(record) / 10
