"""What operators are told, with a bound on how much.

Two loggers: ``wsgi_sessions`` for what is out of order, ``wsgi_sessions.security`` for refused
cookies, damaged records and dropped changes. Sessions are named by id, never by sid.
"""

from __future__ import annotations

import logging
import time

__all__ = ["ThrottledLog"]

_PER_SECOND = 10


class ThrottledLog:
    """A logger that writes each kind of message at most ten times a second.

    The kind is the message before its arguments are filled in. Never raises. Threads that log at
    the same moment may overrun the bound by a line.
    """

    __slots__ = ("_logger", "_written")

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._written: dict[str, tuple[int, int]] = {}

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
        self.log(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        self.log(logging.WARNING, message, *args)

    def error(self, message: str, *args: object) -> None:
        """With the traceback of the exception that is being handled."""
        self.log(logging.ERROR, message, *args, exc_info=True)
