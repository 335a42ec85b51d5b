"""What ``wsgi-sessions check`` found: one line for the operator."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["EVICTION", "Finding", "Level"]

EVICTION = "maxmemory-policy"
"""With what the finding begins that says whether a server drops keys."""


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


class Finding(NamedTuple):
    """What is, why it matters, and the remedy."""

    level: Level
    what: str
    why: str = ""
    remedy: str = ""
    statements: str = ""
    """What to run, over several lines: the DDL."""

    def __str__(self) -> str:
        text = self.what + (f": {self.why}" if self.why else "")
        text += f". Remedy: {self.remedy}" if self.remedy else ""
        return f"{self.level.name.lower():<8} {' '.join(text.split())}"
