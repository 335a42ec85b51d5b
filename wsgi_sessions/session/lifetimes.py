"""How long sessions live: pure arithmetic on a record and the time.

Every end is judged by what the record says. The options of this service are for records that it
makes or renews, so that services with other options on one store agree on who is logged in.
"""

from __future__ import annotations

from datetime import timedelta

from wsgi_sessions.record import OWN_LIFETIME, PERMANENT, Record
from wsgi_sessions.stores import CENTURY

__all__ = ["Lifetimes", "checked_lifetime", "falls_short", "is_over", "renewal_due"]

_DAY = 86_400.0
_HOUR = 3_600.0


class Lifetimes:
    """Idle lifetimes of ordinary and permanent sessions, and the absolute one; in seconds."""

    __slots__ = ("absolute", "idles")

    def __init__(self, ordinary: float, permanent: float, absolute: float | None) -> None:
        self.idles: tuple[float, float] = (ordinary, permanent)
        self.absolute: float | None = absolute

    def idle(self, *, permanent: bool) -> float:
        """Seconds of idle lifetime that no session has of its own."""
        return self.idles[permanent]

    def end_of(self, created_at: float) -> float | None:
        """When a session that begins then, or whose owner logs in, ends whatever happens."""
        return None if self.absolute is None else created_at + self.absolute

    def applied(self, before: Record, after: Record, *, renewed: bool) -> Record:
        """*after*, which takes the place of *before*, with the ends that follow from what changed:
        a login starts the absolute lifetime again; a change between ordinary and permanent, a
        renewal, and a login where it is longer, give the idle lifetime of this service, unless the
        session has its own."""
        if not renewed and after.flags == before.flags and after.created_at == before.created_at:
            return after  # nearly always
        logs_in = after.created_at != before.created_at
        if logs_in and after.ends_at == before.ends_at:
            after = after.replace(ends_at=self.end_of(after.created_at))
        reshaped = (after.flags ^ before.flags) & (PERMANENT | OWN_LIFETIME)
        idle = self.idle(permanent=after.permanent)
        # The absolute end before the login may have been too near for a renewal.
        lengthened = logs_in and after.idle < idle
        if after.flags & OWN_LIFETIME or not (renewed or reshaped or lengthened):
            return after
        given = after.idle != before.idle and not renewed
        return after if given or idle == after.idle else after.replace(idle=idle)


def is_over(record: Record, now: float) -> bool:
    """Whether a lifetime has ended, whatever the store's own expiry and clock say."""
    ends_at = record.ends_at
    return now >= record.saved_at + record.idle or (ends_at is not None and now >= ends_at)


def renewal_due(record: Record, issued_at: float, now: float) -> bool:
    """Whether the cookie is older than a tenth of the idle lifetime or than a day. (Or dated that
    far in the future, which a clock that was set back leaves behind; but at least an hour, since
    the clocks of hosts may differ by minutes, and a cookie of the one that is ahead would be
    renewed by the others at each read.)"""
    age = now - issued_at
    if age < 0:
        age = 0 if age >= -_HOUR else -age
    return age > _DAY or age > record.idle / 10


def falls_short(record: Record, idle: float, now: float) -> bool:
    """Whether a session that is used *now* ends too early for a service whose idle lifetime is
    *idle*, since another one, whose is shorter, has made or renewed it: what is used here lives
    nine tenths of that at least, or all but a day."""
    if record.flags & OWN_LIFETIME:
        return False
    wanted = now + idle - min(idle / 10, _DAY)
    if record.ends_at is not None:
        wanted = min(wanted, record.ends_at)
    return record.saved_at + record.idle < wanted


def checked_lifetime(value: object) -> float:
    """Seconds of *value*, a number of them or a ``timedelta``. Raises ``TypeError`` for anything
    else, and ``ValueError`` for what no session can live."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"lifetime is seconds, a timedelta, or None, not {value!r} ({type(value).__name__})"
        )
    if not 0 < value <= CENTURY:
        raise ValueError(f"lifetime is {value!r}: more than 0 seconds and at most 100 years")
    return float(value)
