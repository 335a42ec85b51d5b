"""Overlapping requests that all change one session: how many a second, and whether any is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from benchmarks.client import Client
from benchmarks.contenders import CONTENDERS, available
from benchmarks.servers import running
from benchmarks.table import table

Figures = dict[str, dict[str, dict[str, float]]]

ASKED = ["ours-redis", "ours-sqlite", "ours-file", "ours-memcached", "ours-postgresql"]


def measure(writers: Iterable[int], seconds: float) -> Figures:
    """By contender and number of threads: changes per second, and how many of them were lost or
    refused after *seconds* of each incrementing the same key."""
    figures: Figures = {}
    wanted = [CONTENDERS[name] for name in ASKED]
    with running({need for one in wanted for need in one.needs}) as places:
        for contender in available(wanted, places):
            application = contender.make(places).application
            figures[contender.name] = {
                str(number): _together(application, number, seconds) for number in writers
            }
    return figures


def _together(application: Any, number: int, seconds: float) -> dict[str, float]:
    client = Client(application)
    cookies = client.cookies("/fill/small")
    start = threading.Barrier(number + 1)
    done, refused = [0] * number, [0] * number

    def hit(writer: int) -> None:
        send = client.sender("/hit", cookies)
        start.wait()
        until = perf_counter() + seconds
        while perf_counter() < until:
            try:
                send()
                done[writer] += 1
            except RuntimeError:  # 503
                refused[writer] += 1

    threads = [threading.Thread(target=hit, args=(writer,)) for writer in range(number)]
    for thread in threads:
        thread.start()
    start.wait()
    began = perf_counter()
    for thread in threads:
        thread.join()
    took = perf_counter() - began
    stored = application.manager.open(f"sid={cookies['sid']}").get("hits", 0)
    return {
        "per second": round(sum(done) / took),
        "refused": sum(refused),
        "lost": max(sum(done) - stored, 0),
    }


def show(figures: Figures) -> str:
    columns = list(next(iter(figures.values())))
    rows = [
        [
            name,
            *(
                f"{row[column]['per second']:,.0f} ({row[column]['refused']:.0f}, "
                f"{row[column]['lost']:.0f})"
                for column in columns
            ),
        ]
        for name, row in figures.items()
    ]
    return table(["changes of one session a second (refused, lost), by writers", *columns], rows)
