"""How the time of a request, and the bytes in the store, grow with the size of the session."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from benchmarks.contenders import CONTENDERS, Places, available
from benchmarks.servers import running
from benchmarks.stopwatch import percentile, times
from benchmarks.table import table
from benchmarks.timing import one_core
from tests.support.repeated_request import Client
from tests.support.scenarios import SIZES

Figures = dict[str, dict[str, float]]

TIMED = ["ours-redis", "ours-sqlite", "ours-file", "flask-session-redis", "django-cache"]
WEIGHED = ["ours-redis", "flask-session-redis", "beaker-redis", "django-cache", "pyramid-redis"]


def measure(count: int, sizes: Iterable[int] = SIZES) -> dict[str, Figures]:
    """Median microseconds of *count* requests that read, or write, one key, by kilobytes of
    session; and the bytes that Redis uses for one, key included."""
    names = dict.fromkeys(TIMED + WEIGHED)
    taken: Figures = {}
    weights: Figures = {}
    with one_core(), running({"redis"}) as places:
        for contender in available((CONTENDERS[name] for name in names), places):
            application = contender.make(places).application
            if contender.name in TIMED:
                for path in ("read", "write"):
                    taken[f"{contender.name} {path}"] = {
                        str(size): _microseconds(Client(application), path, size, count)
                        for size in sizes
                    }
            if contender.name in WEIGHED:
                weights[contender.name] = {
                    path: _bytes(Client(application), places, path)
                    for path in ("/fill/payload", "/fill/small", "/fill/1", "/fill/large")
                }
    return {"microseconds": taken, "bytes": weights}


def _microseconds(client: Client, path: str, size: int, count: int) -> float:
    send = client.sender(f"/{path}", client.cookies(f"/fill/{size}"))
    send()
    return percentile(times([send], count), 50)


def _bytes(client: Client, places: Places, path: str) -> float:
    """The median of several, since the allocator rounds up."""
    from redis import Redis

    with Redis.from_url(places["redis"]) as redis:
        weights = []
        for _ in range(9):
            before = set(redis.scan_iter(count=1000))
            client.cookies(path)
            [name] = set(redis.scan_iter(count=1000)) - before
            weights.append(redis.memory_usage(name))
    return float(median(weights))


def show(figures: dict[str, Figures]) -> str:
    return "\n\n".join(
        (
            _table("microseconds, by KB of session", figures["microseconds"]),
            _table("bytes in Redis for a session", figures["bytes"]),
        )
    )


def _table(title: str, rows: Figures) -> str:
    columns = list(next(iter(rows.values())))
    lines = [[name, *(f"{row[column]:,.0f}" for column in columns)] for name, row in rows.items()]
    return table([title, *columns], lines)
