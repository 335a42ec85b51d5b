"""How long a store waits for its server, its lock or its file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

from wsgi_sessions.errors import ConfigurationError

__all__ = ["DEFAULT_TIMEOUTS", "IDLE_SECONDS", "Timeouts", "check_timeouts"]

IDLE_SECONDS = 30
"""After which a kept connection of a store's own is replaced or checked before it is used: what
stands in between may have forgotten it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The time limits of a store, in seconds, both more than 0.

    ``Timeouts(connect=0.25, answer=0.5)`` is the default of every store. Each store derives its
    other limits (for a lock, a pool, a retry, a fork) from these two; its documentation says when
    an operation has ended at the latest. They hold for what a store builds itself from a URL, an
    address or a path: a client that is handed in keeps its own.

    In the URL of a store they are ``connect_timeout`` and ``answer_timeout``:
    ``redis://sessions.example?connect_timeout=1&answer_timeout=2``.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for anything but a positive, finite number.
    """

    connect: float = 0.25
    """For a connection to be established. A store without a server does not use it."""

    answer: float = 0.5
    """For the answer to what was asked, and for a lock that somebody else holds."""

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not (number and 0 < seconds < inf):
                raise ConfigurationError(
                    f"the timeout {field.name!r} is {seconds!r}: a number of seconds, more than 0, "
                    f"as in Timeouts(connect=0.25, answer=0.5)"
                )


DEFAULT_TIMEOUTS = Timeouts()


def check_timeouts(timeouts: Timeouts) -> Timeouts:
    """*timeouts*; :exc:`~wsgi_sessions.ConfigurationError` for anything else."""
    if not isinstance(timeouts, Timeouts):
        raise ConfigurationError(
            f"timeouts is a {type(timeouts).__name__}: write "
            f"timeouts=Timeouts(connect=0.25, answer=0.5), of wsgi_sessions.stores"
        )
    return timeouts
