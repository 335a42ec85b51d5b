"""How the time of a request grows with the number of sessions that are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.contenders import CONTENDERS, available
from benchmarks.copies import copy
from benchmarks.servers import running
from benchmarks.stopwatch import percentile, times
from benchmarks.table import table
from benchmarks.timing import one_core
from tests.support.repeated_request import Client

Figures = dict[str, dict[str, float]]

CONTENDERS_ASKED = ["ours-redis", "ours-sqlite", "ours-file", "ours-postgresql"]
STORED = (1_000, 10_000, 100_000, 1_000_000)
MOST_FILES = 100_000  # of which a file system has enough elsewhere
MONTH = 30 * 86_400
SAMPLE = 100
"""Sessions that are asked for in turn, so that it is not one that is always in some cache."""


def measure(stored: Iterable[int], count: int) -> Figures:
    """Median microseconds of *count* requests, by contender and scenario, then by how many
    sessions are stored."""
    figures: Figures = {}
    wanted = [CONTENDERS[name] for name in CONTENDERS_ASKED]
    with one_core(), running({need for one in wanted for need in one.needs}) as places:
        for contender in available(wanted, places):
            application: Any = contender.make(places).application
            there = 0
            for number in sorted(stored):
                if contender.name == "ours-file" and number > MOST_FILES:
                    continue
                copy(contender.name, application, places, number - there, expires_in=MONTH)
                there = number
                client = Client(application)
                visitors = [client.cookies("/fill/small") for _ in range(SAMPLE)]
                for path in ("/read", "/write", "/new"):
                    senders = [client.sender(path, {} if path == "/new" else v) for v in visitors]
                    times(senders, SAMPLE)
                    row = figures.setdefault(f"{contender.name} {path[1:]}", {})
                    row[str(number)] = percentile(times(senders, count), 50)
    return figures


def show(figures: Figures) -> str:
    columns = sorted({number for row in figures.values() for number in row}, key=int)
    rows = [
        [name, *(f"{row[number]:,.0f}" if number in row else "" for number in columns)]
        for name, row in figures.items()
    ]
    return table(["microseconds, by sessions stored", *(f"{int(n):,}" for n in columns)], rows)
