"""What sessions cost at the store: bytes for each, and CPU time of the server for each request."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Places, available
from benchmarks.copies import copy
from benchmarks.servers import running
from benchmarks.table import table
from tests.support.repeated_request import Client

Figures = dict[str, dict[str, float]]

MONTH = 30 * 86_400
ASKED = ["ours-redis", "ours-memcached", "ours-postgresql", "ours-sqlite"]


def measure(sessions: int, requests: int) -> Figures:
    """By contender: bytes per session of eight keys, over *sessions* of them, and the server's
    microseconds of CPU per reading, writing and beginning request, over *requests* of each. (That
    of SQLite is part of the application's.)"""
    figures: Figures = {}
    wanted = [CONTENDERS[name] for name in ASKED]
    with running({need for one in wanted for need in one.needs}) as places:
        for contender in available(wanted, places):
            application = contender.make(places).application
            client = Client(application)
            copy(contender.name, application, places, 100, expires_in=MONTH)
            bytes_used, cpu_used = _BYTES[contender.name], _CPU.get(contender.name)
            before = bytes_used(places)
            copy(contender.name, application, places, sessions, expires_in=MONTH)
            row = {"bytes": round((bytes_used(places) - before) / sessions)}
            cookies = client.cookies("/fill/small")
            for path in ("read", "write", "new"):
                if cpu_used is None:
                    continue
                send = client.sender(f"/{path}", {} if path == "new" else cookies)
                began = cpu_used(places)
                for _ in range(requests):
                    send()
                row[f"{path} µs"] = round((cpu_used(places) - began) / requests * 1e6, 1)
            figures[contender.name] = row
    return figures


def _redis(places: Places, section: str) -> dict[str, float]:
    from redis import Redis

    with Redis.from_url(places["redis"]) as client:
        return dict(client.info(section))


def _redis_cpu(places: Places) -> float:
    cpu = _redis(places, "cpu")
    return cpu["used_cpu_sys"] + cpu["used_cpu_user"]


def _memcached(places: Places) -> dict[str, float]:
    from pymemcache import Client as Memcached

    client = Memcached(places["memcached"])
    stats = client.stats()
    slabs = client.stats("slabs")
    client.close()
    return {
        "cpu": float(stats[b"rusage_user"]) + float(stats[b"rusage_system"]),
        "bytes": float(_used_chunks(slabs)),
    }


def _used_chunks(slabs: dict[bytes, object]) -> int:
    """Bytes of the chunks that are in use: an item takes a whole one."""
    return sum(
        int(str(slabs[name.replace(b"chunk_size", b"used_chunks")])) * int(str(size))
        for name, size in slabs.items()
        if name.endswith(b":chunk_size")
    )


def _postgresql_bytes(places: Places) -> float:
    import psycopg

    with psycopg.connect(places["postgresql"], autocommit=True) as connection:
        row = connection.execute("SELECT pg_total_relation_size('sessions')").fetchone()
    assert row is not None
    return float(row[0])


def _postgresql_cpu(places: Places) -> float:
    """Of the backends that serve somebody, and of the processes that write for them."""
    import psycopg

    with psycopg.connect(places["postgresql"], autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        ).fetchall()
    ticks = 0
    for (pid,) in rows:
        with suppress(FileNotFoundError, ProcessLookupError):  # it ends after its client
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _sqlite_bytes(places: Places) -> float:
    connection = sqlite3.connect(Path(places["directory"], "ours.db"))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return float(Path(places["directory"], "ours.db").stat().st_size)


_BYTES: dict[str, Callable[[Places], float]] = {
    "ours-redis": lambda places: _redis(places, "memory")["used_memory"],
    "ours-memcached": lambda places: _memcached(places)["bytes"],
    "ours-postgresql": _postgresql_bytes,
    "ours-sqlite": _sqlite_bytes,
}
_CPU: dict[str, Callable[[Places], float]] = {
    "ours-redis": _redis_cpu,
    "ours-memcached": lambda places: _memcached(places)["cpu"],
    "ours-postgresql": _postgresql_cpu,
}


def show(figures: Figures) -> str:
    columns = ["bytes", "read µs", "write µs", "new µs"]
    rows = [
        [name, *(f"{row[column]:,.1f}" if column in row else "" for column in columns)]
        for name, row in figures.items()
    ]
    return table(["at the store, per session and per request", *columns], rows)
