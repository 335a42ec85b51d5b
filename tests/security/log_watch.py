"""Listens to everything that is logged."""

from __future__ import annotations

import logging
import re

SID = re.compile(
    r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{21}[AQgw][A-Za-z0-9_-]{21}[AQgw](?![A-Za-z0-9_-])"
)
"""What has the form of a sid, alone or at the head of a cookie value."""


WHOLE_COMMANDS = ("pymongo.", "boto3.", "botocore.")
"""Loggers that write whole commands at level DEBUG."""


class LogWatch(logging.Handler):
    """Keeps the text of every record that reaches it, with traceback and arguments.

    While it listens, the library's loggers and, unless *root_level* is ``None``, all others let
    everything through. Left out is what pymongo and boto3 say at level DEBUG: whole commands, and
    in the base64 of a record any run of characters may have the form of a sid.
    """

    def __init__(self, root_level: int | None = logging.DEBUG) -> None:
        super().__init__(logging.DEBUG)
        self._root_level = root_level
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno != logging.DEBUG or not record.name.startswith(WHOLE_COMMANDS):
            self.lines.append(f"{record.name} {self.format(record)} {record.args!r}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __enter__(self) -> LogWatch:
        root, ours = logging.getLogger(), logging.getLogger("wsgi_sessions")
        self._levels = root.level, ours.level
        root.addHandler(self)
        if self._root_level is not None:
            root.setLevel(self._root_level)
        ours.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_exception: object) -> None:
        root, ours = logging.getLogger(), logging.getLogger("wsgi_sessions")
        root.removeHandler(self)
        root.setLevel(self._levels[0])
        ours.setLevel(self._levels[1])
