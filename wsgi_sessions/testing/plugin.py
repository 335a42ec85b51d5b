"""Fixtures for the tests of applications. In the ``conftest.py`` at the top of the tests:

.. code:: python

    pytest_plugins = ["wsgi_sessions.testing.plugin"]

It is not loaded by itself, so that no other test run in this environment imports the library.
"""

from __future__ import annotations

import pytest

from wsgi_sessions.stores import MemoryStore
from wsgi_sessions.testing.clock import ManualClock
from wsgi_sessions.testing.failing_store import FailingStore

__all__ = ["session_clock", "session_store"]


@pytest.fixture
def session_clock() -> ManualClock:
    """The time of :func:`session_store`, for the option ``clock`` of the application: it stands
    still until the test calls ``session_clock.advance(seconds)``."""
    return ManualClock()


@pytest.fixture
def session_store(session_clock: ManualClock) -> FailingStore:
    """A new store in memory, for the application: ``session_store.stop()`` is an outage."""
    return FailingStore(MemoryStore(clock=session_clock))
