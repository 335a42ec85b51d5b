"""Counts the interleavings, and tells how many there were."""

from __future__ import annotations

import logging
import time

import pytest

from wsgi_sessions.session import repository
from wsgi_sessions.testing import ManualClock

WALKED = pytest.StashKey[int]()


@pytest.fixture
def walked(request):
    """Call it once for each interleaving."""

    def count():
        request.config.stash[WALKED] = request.config.stash.get(WALKED, 0) + 1

    return count


@pytest.fixture
def clock():
    """Servers have clocks of their own, so this one starts with the present."""
    return ManualClock(float(int(time.time())))


@pytest.fixture(autouse=True)
def _no_waiting_and_no_log(monkeypatch):
    """Retries need not wait where the scheduler decides; the log would be most of the time."""
    monkeypatch.setattr(repository, "uniform", lambda least, most: 0.0)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def pytest_terminal_summary(terminalreporter, config):
    walked = config.stash.get(WALKED, 0)
    if walked:
        terminalreporter.write_line(f"interleavings walked: {walked:,}")
