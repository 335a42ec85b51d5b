"""For tests that are not about limits of time: limits that a busy machine keeps too, and waits.

A store gives up after half a second; a machine with more to do than it can may stand still for as
long, and then the test of something else fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

import pytest

from wsgi_sessions.errors import StoreUnavailable

T = TypeVar("T")

SECONDS = 30

_SQLALCHEMY = [
    "sqlalchemy.database.RETRY_SECONDS",
    "sqlalchemy.database.FORK_SECONDS",
    "sqlalchemy.engine.CONNECT_SECONDS",
    "sqlalchemy.engine.LOGIN_SECONDS",
    "sqlalchemy.engine.ANSWER_SECONDS",
    "sqlalchemy.engine.SERVER_SECONDS",
    "sqlalchemy.engine.LOCK_SECONDS",
    "sqlalchemy.engine.POOL_SECONDS",
]

LIMITS: dict[str, list[str]] = {
    "memory": [],
    "file": ["file.shard.LOCK_SECONDS"],
    "sqlite": ["sqlite.connections.BUSY_SECONDS", "sqlite.connections.FORK_SECONDS"],
    "redis": ["redis.connections.CONNECT_SECONDS", "redis.connections.ANSWER_SECONDS"],
    "memcached": [
        "memcached.store.TOTAL_SECONDS",
        "memcached.connections.CONNECT_SECONDS",
        "memcached.connections.ANSWER_SECONDS",
        "checks.memcached.SECONDS",
    ],
    "sqlalchemy": _SQLALCHEMY,
    "postgresql": [
        *_SQLALCHEMY,
        "sqlalchemy.psycopg.LOGIN_SECONDS",
        "sqlalchemy.psycopg.ANSWER_SECONDS",
    ],
    "mariadb": [
        *_SQLALCHEMY,
        "sqlalchemy.pymysql.LOGIN_SECONDS",
        "sqlalchemy.pymysql.ANSWER_SECONDS",
    ],
    "mongodb": [],
}
"""The constants that bound how long a kind of store waits, by their modules."""


def be_patient(patch: pytest.MonkeyPatch, *kinds: str) -> None:
    """Let stores of these *kinds* that are built from now on, in this process and its forks, wait
    for half a minute."""
    limits = [name.rpartition(".")[::2] for kind in kinds for name in LIMITS[kind]]
    # All are imported before any is changed, since one may import another's constants.
    modules = [
        import_module(
            f"wsgi_sessions.{'cli' if module.startswith('checks') else 'stores'}.{module}"
        )
        for module, _ in limits
    ]
    for module, (_, name) in zip(modules, limits, strict=True):
        patch.setattr(module, name, SECONDS)
    if "mongodb" in kinds:
        from wsgi_sessions.stores.mongodb.connections import OWN_CLIENT

        for name in ("connectTimeoutMS", "timeoutMS"):
            patch.setitem(OWN_CLIENT, name, SECONDS * 1000)


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = SECONDS) -> None:
    """Return when *condition* is true; fail with *what* that is if it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} seconds for this: {what}"
        time.sleep(0.01)


def answered(ask: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What *ask* returns once the store is available."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
