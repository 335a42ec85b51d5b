"""The URL of each store that several processes can use, as an operator would write it, with time
for a busy machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from tests.support.patience import patient_url

Fixture = pytest.FixtureRequest


def _redis(request: Fixture) -> str:
    return f"{request.getfixturevalue('redis_server').url}?prefix={secrets.token_hex(4)}:"


def _memcached(request: Fixture) -> str:
    return f"memcached://{request.getfixturevalue('memcached').address}"


def _postgresql(request: Fixture) -> str:
    return str(request.getfixturevalue("postgresql_server").new_place(f"u{secrets.token_hex(4)}"))


def _mariadb(request: Fixture) -> str:
    return str(request.getfixturevalue("mariadb_server").new_place(f"u{secrets.token_hex(4)}"))


def _mongodb(request: Fixture) -> str:
    return f"{request.getfixturevalue('mongodb_url')}/u{secrets.token_hex(4)}"


def _dynamodb(request: Fixture) -> str:
    return str(request.getfixturevalue("dynamodb_server").url(f"u{secrets.token_hex(4)}"))


_URLS: dict[str, Callable[[Fixture], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path')}/s.db",
    "file": lambda request: f"file://{request.getfixturevalue('tmp_path')}/sessions",
    "redis": _redis,
    "memcached": _memcached,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "mongodb": _mongodb,
    "dynamodb": _dynamodb,
}


def _with_time(url: Callable[[Fixture], str]) -> Callable[[Fixture], str]:
    return lambda request: patient_url(url(request))


STORE_URLS = {name: _with_time(url) for name, url in _URLS.items()}
