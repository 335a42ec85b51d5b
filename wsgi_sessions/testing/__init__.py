"""For authors of stores and for tests: a clock that stands still, and the contract suite."""

from __future__ import annotations

from wsgi_sessions.testing.contract import ManualClock, RealClock, StoreContract

__all__ = [
    "ManualClock",
    "RealClock",
    "StoreContract",
]
