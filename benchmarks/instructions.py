"""Instructions per request: user-space, the application without sessions taken off.

They repeat to the percent, whatever else the machine does, so that one run before a change and one
after it say what the change costs. This prints the table by which this library's speed is judged,
in three minutes on two cores::

    make bench-instructions                        # or: python -m benchmarks instructions
    python -m benchmarks instructions --peers      # beside Flask-Session, Beaker, Django, floors
    python -m benchmarks instructions --contender ours-redis --scenario read --scenario write

Needs valgrind, and the servers that are asked for. ``ours-redis`` is ``RedisStore`` by URL,
``ours-redis-client`` the same over a ``redis.Redis`` that is handed in; the first column of numbers
to look at. A copy of more than 2 KB counts one instruction a byte and takes much less time than
that: in the rows of 50 KB copies look dearer than they are. A worker remembers cookies and records
that it has seen; "new to the worker" is what another one has made and this one sees for the first
time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.callgrind import counted
from benchmarks.contenders import CONTENDERS, Contender, Places, available
from benchmarks.servers import running
from benchmarks.table import table
from benchmarks.workload import NEW_TO_THE_WORKER

Figures = dict[str, dict[str, float]]

OURS = [name for name in CONTENDERS if name.startswith("ours-")]
ROWS = {
    "untouched": "untouched",
    "anonymous": "anonymous",
    "forged": "forged cookie",
    "forged-first": "forged cookie, new to the worker",
    "read": "read one key",
    "first": "read one key, new to the worker",
    "list": "read a list",
    "write": "write one key",
    "new": "new session of 1 key",
    "new-8": "new session of 8 keys",
    "large-read": "50 KB: read one key",
    "large-write": "50 KB: write one key",
}


def measure(names: Iterable[str], scenarios: Iterable[str], count: int) -> Figures:
    """Thousands of instructions, by contender and scenario; *count* requests of each."""
    contenders, scenarios = [CONTENDERS[name] for name in names], list(scenarios)
    with running({need for one in contenders for need in one.needs}) as places:
        there = list(available(contenders, places))

        def one(contender: Contender) -> dict[str, float]:
            return _of_one(contender, places, scenarios, count)

        # Each runs under callgrind in a process of its own, so a core apiece does no harm.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rows = zip(there, pool.map(one, there), strict=True)
            return {contender.name: row for contender, row in rows}


def _of_one(
    contender: Contender, places: Places, scenarios: list[str], count: int
) -> dict[str, float]:
    asked = [name for name in scenarios if contender.answers(name)]
    if contender.name.startswith("ours-redis"):
        asked += [name for name, scenario in NEW_TO_THE_WORKER.items() if scenario in asked]
    lines = counted("benchmarks.workload", contender.name, json.dumps(places), str(count), *asked)
    print(f"{contender.name} is done", file=sys.stderr)
    return _per_request(lines)


def _per_request(lines: list[tuple[str, int]]) -> dict[str, float]:
    totals = {}
    for label, cost in lines:
        name, _, times = label.partition(" ")
        if times:
            totals[name] = cost / int(times) / 1000
    bare = totals.pop("bare")
    return {name: round(total - bare, 1) for name, total in totals.items()}


def show(figures: Figures) -> str:
    """A row for each scenario, a column for each contender."""
    rows = [
        [ROWS[name], *(f"{column[name]:,.1f}" if name in column else "" for column in columns)]
        for columns in [list(figures.values())]
        for name in ROWS
        if any(name in column for column in columns)
    ]
    names = [name.removeprefix("ours-") if name in OURS else name for name in figures]
    return table(["k instructions over the bare application", *names], rows)
