"""The servers that the pages name, at the places where the tests have started them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import pytest

from tests.support.patience import SECONDS

Fixture = pytest.FixtureRequest
SQLITE = re.compile(r"sqlite:///sessions\.db(?=[\"\s]|$)")


def _redis(request: Fixture) -> str:
    return str(request.getfixturevalue("redis_server").url)


def _postgresql(request: Fixture) -> str:
    server = request.getfixturevalue("postgresql_server")
    name = f"shop{secrets.token_hex(4)}"
    server.execute(f"CREATE DATABASE {name}")
    return str(server.url(name)).replace("postgresql:", "postgresql+psycopg:")


def _mariadb(request: Fixture) -> str:
    server = request.getfixturevalue("mariadb_server")
    return str(server.new_place(f"shop{secrets.token_hex(4)}"))


def _mongodb(request: Fixture) -> str:
    return f"{request.getfixturevalue('mongodb_url')}/shop{secrets.token_hex(4)}"


def _memcached(request: Fixture) -> str:
    return str(request.getfixturevalue("memcached").address)


SERVERS: dict[str, Callable[[Fixture], str]] = {
    r"redis://localhost(:6379)?": _redis,
    r"(localhost|127\.0\.0\.1):11211": _memcached,
    r"postgresql(\+psycopg)?://shop:secret@localhost/shop": _postgresql,
    r"(mysql|mariadb)\+pymysql://shop:secret@localhost/shop": _mariadb,
    r"mongodb://localhost(/\w+)?": _mongodb,
}
"""What stands in a page → where that server is."""


def at_our_servers(text: str, request: Fixture) -> str:
    """*text* with the servers that it names replaced by those of the tests, and time for a busy
    machine where it names a file of SQLite."""
    text = SQLITE.sub(lambda found: f"{found[0]}?answer_timeout={SECONDS}", text)
    for named, place in SERVERS.items():
        if re.search(named, text):
            where = place(request)
            text = re.sub(named, lambda _, where=where: where, text)
    return text


def environment(text: str, request: Fixture) -> dict[str, str]:
    """What a program finds in its environment: where Amazon's DynamoDB is, if it speaks of it."""
    if "ynamodb" not in text:
        return {}
    server = request.getfixturevalue("dynamodb_server")
    return {"AWS_ENDPOINT_URL": server.endpoint, "AWS_DEFAULT_REGION": "eu-west-1"}
