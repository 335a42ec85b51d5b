"""Instructions per request: user-space, the application without sessions taken off."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from benchmarks.callgrind import counted
from benchmarks.contenders import CONTENDERS, available
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import running
from benchmarks.table import table

Figures = dict[str, dict[str, float]]


def measure(names: Iterable[str], scenarios: Iterable[str], count: int) -> Figures:
    """Thousands of instructions, by contender and scenario; *count* requests of each."""
    contenders = [CONTENDERS[name] for name in names]
    figures: Figures = {}
    with running({need for one in contenders for need in one.needs}) as places:
        for contender in available(contenders, places):
            asked = [name for name in scenarios if contender.answers(name)]
            lines = counted(
                "benchmarks.workload", contender.name, json.dumps(places), str(count), *asked
            )
            figures[contender.name] = _per_request(lines)
            print(contender.name, figures[contender.name], file=sys.stderr)
    return figures


def _per_request(lines: list[tuple[str, int]]) -> dict[str, float]:
    totals = {}
    for label, cost in lines:
        name, _, times = label.partition(" ")
        if times:
            totals[name] = cost / int(times) / 1000
    bare = totals.pop("bare")
    return {name: round(total - bare, 1) for name, total in totals.items()}


def show(figures: Figures) -> str:
    columns = [name for name in SCENARIOS if any(name in row for row in figures.values())]
    rows = [
        [name, *(f"{row[column]:,.1f}" if column in row else "" for column in columns)]
        for name, row in figures.items()
    ]
    return table(["k instructions per request", *columns], rows)
