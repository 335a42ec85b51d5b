"""Fixtures that most tests share."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest
from hypothesis import settings

from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor, warm
from wsgi_sessions import MemoryStore, SessionManager
from wsgi_sessions.testing import ManualClock

pytest_plugins = [
    "tests.support.leftovers",
    "tests.support.remembered",
    "tests.servers.redis",
    "tests.servers.memcached",
    "tests.servers.postgresql",
    "tests.servers.mariadb",
    "tests.servers.mongodb",
    "tests.servers.dynamodb",
    "tests.security.no_sid_in_logs",
]


# A loaded machine is no bug; and what decides whether a change lands tries the same every time.
settings.register_profile("default", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("default")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> RecordingStore:
    return RecordingStore(MemoryStore(clock=clock))


@pytest.fixture
def manager(store: RecordingStore, clock: ManualClock) -> SessionManager:
    manager = SessionManager(store, secret="the signing secret of the tests", clock=clock)
    warm(manager)
    store.pop_calls()
    return manager


@pytest.fixture
def visitor(manager: SessionManager) -> Visitor:
    return Visitor(manager)


STORES = [
    *("memory", "file", "sqlite", "redis", "memcached"),
    *("sqlalchemy", "postgresql", "mariadb", "mongodb", "dynamodb"),
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests each store has passed."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        words = set(re.split(r"[^a-z]+", report.nodeid))
        counts.update(store for store in STORES if store in words)
    if counts:
        told = ", ".join(f"{store} {counts[store]}" for store in STORES if counts[store])
        terminalreporter.write_line(f"tests passed per store: {told}")
