"""What visitors have seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from tests.soak.faults import Refusal


class Promise(StrEnum):
    """What was broken, by a violation."""

    LOST = "lost"
    """What was confirmed is not there, or only half of it."""
    CROSSED = "crossed"
    """A session has what was put into another."""
    UNDONE = "undone"
    """What was logged out or replaced is alive."""
    SERVED = "served"
    """Who should have been served was not, or was sent a wrong cookie."""


@dataclass
class Notes:
    """What one visitor has seen, or all together."""

    answers: Counter[str] = field(default_factory=Counter)
    """How many requests were answered, by page and status: ``"write 200"``."""
    violations: Counter[tuple[Promise, str]] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When pages that need no session were asked for, and how long they took."""
    slowest: float = 0.0
    """Seconds that a page that needs the store took at most."""
    dead: int = 0
    """Logouts answered 200 whose cookie was tried at the end."""
    checked: int = 0
    """Sessions that were compared at the end."""

    def add(self, other: Notes) -> None:
        self.answers += other.answers
        self.violations += other.violations
        self.refusals += other.refusals
        self.waits += other.waits
        self.slowest = max(self.slowest, other.slowest)
        self.dead += other.dead
        self.checked += other.checked


def total(notes: list[Notes]) -> Notes:
    sum_ = Notes()
    for one in notes:
        sum_.add(one)
    return sum_
