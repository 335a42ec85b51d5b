"""What operators are told, with a bound on how much.

Two loggers: ``wsgi_sessions`` for what is out of order, ``wsgi_sessions.security`` for refused
cookies, damaged records and dropped changes. Sessions are named by id, never by sid.
"""

from __future__ import annotations

import logging
import sys
import time

__all__ = ["ThrottledLog"]

_PER_SECOND = 10


class ThrottledLog:
    """A logger that writes each kind of message at most ten times a second.

    The kind is the message before its arguments are filled in. Never raises. Threads that log at
    the same moment may overrun the bound by a line.
    """

    __slots__ = ("_failures", "_logger", "_written")

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._written: dict[str, tuple[int, int]] = {}
        self._failures: tuple[int, int] = (-1, 0)

    def log(self, level: int, message: str, *args: object, exc_info: bool = False) -> None:
        """As :meth:`logging.Logger.log`."""
        if not self._logger.isEnabledFor(level):
            return
        second, written = self._written.get(message, (0, 0))
        now = int(time.monotonic())
        if second != now:
            if written > _PER_SECOND:
                left_out = written - _PER_SECOND
                self._logger.log(level, "%d more entries were left out: %s", left_out, message)
            written = 0
        self._written[message] = now, written + 1
        if written < _PER_SECOND:
            self._logger.log(level, message, *args, exc_info=exc_info)

    def info(self, message: str, *args: object) -> None:
        if self._logger.isEnabledFor(logging.INFO):  # seldom: a call less
            self.log(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        self.log(logging.WARNING, message, *args)

    def error(self, message: str, *args: object) -> None:
        """With the exception that is being handled, and its traceback; but see :meth:`outage`."""
        error = sys.exc_info()[1]
        if hasattr(error, "applied"):  # that of StoreUnavailable
            self.outage(logging.ERROR, message, *args)
        else:
            self.log(logging.ERROR, message, *args, exc_info=True)

    def outage(self, level: int, message: str, *args: object) -> None:
        """With what the exception says that is being handled, of a store that is unavailable. Each
        request has one and they are alike: one line a second, whatever could not be done."""
        error = sys.exc_info()[1]
        second, left_out = self._failures
        now = int(time.monotonic())
        self._failures = now, left_out + 1 if second == now else 0
        if second != now:
            more = f" ({left_out} more since the last entry)" if left_out else ""
            what = f"{type(error).__name__}: {error}{more}"
            self._logger.log(level, message + ": %s", *args, what)
