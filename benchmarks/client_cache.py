"""Redis's client-side caching (RESP3 tracking), as redis-py has it: what a hit costs, and whether
what was deleted is gone at once. Not used by this library; ``docs/scale.md`` says why."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.servers import running
from benchmarks.stopwatch import times
from benchmarks.table import table

Figures = dict[str, float]


def measure(count: int) -> Figures:
    """Microseconds of a get, of a hit in the cache, and of a get over one ``Connection``; and how
    many of *count* reads still found what had been deleted before, the deletion acknowledged."""
    from redis import Redis
    from redis.cache import CacheConfig
    from redis.connection import CacheProxyConnection

    # redis-py asks for 7.4; tracking itself has been in Redis since 6.0.
    CacheProxyConnection.MIN_ALLOWED_VERSION = "6.0.0"
    with running({"redis"}) as places:
        url = places["redis"]
        client = Redis.from_url(url)
        cached = Redis.from_url(url, protocol=3, cache_config=CacheConfig())
        client.set("key", b"x" * 590)
        connection: Any = client.connection_pool.get_connection()

        def exchange() -> None:
            connection.send_packed_command(connection.pack_command("GET", "key"), False)
            connection.read_response()

        calls = [lambda: client.get("key"), lambda: cached.get("key"), exchange]
        get, hit, bare = (median(times([call], count)) for call in calls)
        stale = 0
        for _ in range(count):
            client.set("key", b"x")
            cached.get("key")
            client.delete("key")
            stale += cached.get("key") is not None
    return {
        "get": round(get, 1),
        "hit in the cache": round(hit, 1),
        "get over a Connection": round(bare, 1),
        "stale reads": stale,
        "of": count,
    }


def show(figures: Figures) -> str:
    rows = [[name, f"{value:,.1f}"] for name, value in figures.items()]
    return table(["client-side caching, microseconds", ""], rows)
