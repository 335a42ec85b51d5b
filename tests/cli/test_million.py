"""A million sessions: the commands collect nothing, and a live Redis is never blocked."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest

from tests.cli.site import Site
from tests.servers.redis import RedisServer
from tests.support.store_urls import STORE_URLS
from wsgi_sessions.cookie import new_id

MANY = 1_000_000
FEW = 1_000
BOUND_BYTES = 24 << 20
"""What a million may take more than a thousand: far less than the 80 MB that a set of their ids
takes."""

MEASURED = """
import resource, subprocess, sys
status = subprocess.run([sys.argv[1], *sys.argv[2:]], stdout=open("output", "w")).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""
"""Runs a command, writes what it prints to a file, and prints the bytes of memory it took."""


def batches(ids: Iterator[str], size: int = 10_000) -> Iterator[list[str]]:
    while batch := list(islice(ids, size)):
        yield batch


def plant_redis(server: RedisServer, prefix: str, number: int, id: str) -> None:
    """*number* copies of the session *id*."""
    with server.admin() as client:
        value = client.get(f"{prefix}{id}")
        for batch in batches(new_id() for _ in range(number)):
            pipe = client.pipeline(transaction=False)
            for one in batch:
                pipe.set(f"{prefix}{one}", value, ex=86_400)
            pipe.execute()


def plant_sqlite(path: str, number: int, id: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(sessions)")]
        others = ", ".join(name for name in names if name != "key")
        ids: Any = ((new_id(), id) for _ in range(number))
        connection.executemany(
            f"INSERT INTO sessions (key, {others}) SELECT ?, {others} FROM sessions WHERE key = ?",
            ids,
        )


def measured(site: Site, tmp_path: Any, *arguments: str) -> tuple[int, str]:
    """The bytes of memory that the command took, and what it printed."""
    script = os.path.join(os.path.dirname(sys.executable), "wsgi-sessions")
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, script, *arguments, "--json"],
        env=os.environ | {"WSGI_SESSIONS_STORE": site.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return int(result.stdout), (tmp_path / "output").read_text()


def calls_of(server: RedisServer, *names: str) -> dict[str, int]:
    """How many of each command the server has carried out."""
    with server.admin() as client:
        found: Any = client.info("commandstats")
    return {name: found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names}


def run_all(site: Site, tmp_path: Any, number: int) -> dict[str, int]:
    """Memory of each command over *number* sessions, which the last one ends."""
    memory = {}
    memory["stats"], printed = measured(site, tmp_path, "stats")
    assert json.loads(printed)["sessions"] == number
    memory["list"], printed = measured(site, tmp_path, "list")
    assert printed.count("\n") == number
    memory["idle"], printed = measured(site, tmp_path, "revoke", "--idle", "1h", "--yes")
    assert json.loads(printed)["ended"] == 0
    memory["all"], printed = measured(site, tmp_path, "revoke", "--all", "--yes")
    assert json.loads(printed)["ended"] == number
    assert measured(site, tmp_path, "list")[1] == ""
    return memory


@pytest.fixture
def site_on(request: pytest.FixtureRequest) -> Iterator[Any]:
    sites: list[Site] = []

    def make(kind: str) -> Site:
        sites.append(Site(STORE_URLS[kind](request)))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


def plant(kind: str, site: Site, number: int, redis_server: RedisServer, tmp_path: Any) -> None:
    id = site.visit(cart=[1, 2, 3])
    if kind == "redis":
        prefix = site.url.partition("prefix=")[2].partition("&")[0]
        plant_redis(redis_server, prefix, number - 1, id)
    else:
        plant_sqlite(str(tmp_path / "s.db"), number - 1, id)


def test_redis_is_asked_by_scan_in_batches_and_never_by_keys(
    site_on: Any, redis_server: RedisServer, tmp_path: Any
) -> None:
    """``KEYS``, ``SMEMBERS`` of everything and ``FLUSHDB`` would hold all visitors meanwhile."""
    site = site_on("redis")
    plant("redis", site, FEW, redis_server, tmp_path)
    blocking = ("keys", "flushdb", "flushall", "smembers", "zrange", "hgetall")
    before = calls_of(redis_server, "scan", *blocking)
    run_all(site, tmp_path, FEW)
    after = calls_of(redis_server, "scan", *blocking)
    assert after.pop("scan") - before.pop("scan") > 0
    assert after == before


@pytest.mark.full
@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_a_million_sessions_take_no_more_memory_than_a_thousand(
    kind: str, site_on: Any, redis_server: RedisServer, tmp_path: Any
) -> None:
    site = site_on(kind)
    plant(kind, site, FEW, redis_server, tmp_path)
    few = run_all(site, tmp_path, FEW)
    plant(kind, site, MANY, redis_server, tmp_path)
    many = run_all(site, tmp_path, MANY)
    print({name: (few[name] >> 20, many[name] >> 20) for name in many})
    for name, memory in many.items():
        assert memory - few[name] < BOUND_BYTES, name
