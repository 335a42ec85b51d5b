"""Removing a million expired rows beside live requests."""

from __future__ import annotations

import json
import subprocess
import sys
from time import perf_counter
from typing import Any

from benchmarks.contenders import CONTENDERS, Places, available
from benchmarks.copies import copy
from benchmarks.servers import running
from benchmarks.stopwatch import percentile, times
from benchmarks.table import table
from tests.support.repeated_request import Client, Request

Figures = dict[str, dict[str, float]]

ASKED = ["ours-sqlite", "ours-postgresql"]


def measure(rows: int, count: int) -> Figures:
    """The p50 and p99 of *count* writing requests alone, and of those beside a purge of *rows* by
    another process, in microseconds."""
    figures: Figures = {}
    wanted = [CONTENDERS[name] for name in ASKED]
    with running({need for one in wanted for need in one.needs}) as places:
        for contender in available(wanted, places):
            application: Any = contender.make(places).application
            copy(contender.name, application, places, rows, expires_in=-1)
            client = Client(application)
            send = client.sender("/write", client.cookies("/fill/small"))
            alone = times([send], count)
            beside, seconds = _while_purging(contender.name, places, send)
            figures[contender.name] = {
                "rows": rows,
                "seconds": round(seconds, 1),
                "requests meanwhile": len(beside),
                "p50 alone": percentile(alone, 50),
                "p50 beside": percentile(beside, 50),
                "p99 alone": percentile(alone, 99),
                "p99 beside": percentile(beside, 99),
                "longest beside": beside[-1],
            }
    return figures


_PURGE = """
import json, sys
from benchmarks.contenders import CONTENDERS
name, places = sys.argv[1:]
store = CONTENDERS[name].make(json.loads(places)).application.manager.store
while store.purge(10_000):
    pass
"""


def _while_purging(name: str, places: Places, send: Request) -> tuple[list[float], float]:
    """The times of requests during a purge by another process, and how long it took."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-c", _PURGE, name, json.dumps(places)])
    taken: list[float] = []
    try:
        while not taken or process.poll() is None:
            taken += times([send], 20)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"{name}: the purge failed")
    return sorted(taken), perf_counter() - began


def show(figures: Figures) -> str:
    columns = list(next(iter(figures.values())))
    rows = [[name, *(f"{row[column]:,.0f}" for column in columns)] for name, row in figures.items()]
    return table(["purge beside writing requests, in microseconds", *columns], rows)
