"""Time per request, in one process: what sessions cost over the application without them.

All contenders take turns in every round, each directly beside its own bare application, and a ratio
is taken within a round: what slows the machine down for a while slows both. The result is the
median over the rounds. Client and servers share one core, so that the time of a round trip does
not depend on where the system happens to wake whom.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.contenders import CONTENDERS, available
from benchmarks.servers import running
from benchmarks.table import table
from tests.support.repeated_request import Client, Request
from tests.support.scenarios import SCENARIOS

Figures = dict[str, dict[str, float]]

WARM_UP = 30
GET = ("floor-redis", "read")
"""One ``redis.get()``: the unit in which much is said."""
BATCH_SECONDS = 0.004
"""A turn, so that a round of all contenders is over in a second or two."""


class _Turn(NamedTuple):
    contender: str
    scenario: str
    send: Request
    bare: Request
    times: int


def measure(names: Iterable[str], scenarios: Iterable[str], rounds: int) -> dict[str, Figures]:
    """Microseconds per request (``"microseconds"``), and the median of the ratios to each
    contender of the same scenario (``"ratios"``, by contender, then ``"scenario/other"``)."""
    contenders = [CONTENDERS[name] for name in names]
    with one_core(), running({need for one in contenders for need in one.needs}) as places:
        turns = []
        for contender in available(contenders, places):
            pair = contender.make(places)
            bare, client = Client(pair.bare).request("untouched"), Client(pair.application)
            for scenario in scenarios:
                if contender.answers(scenario):
                    send = client.request(scenario)
                    times = _batch(send)
                    turns.append(_Turn(contender.name, scenario, send, bare, times))
        costs = _costs(turns, rounds)
    return {"microseconds": _medians(costs), "ratios": _ratios(costs)}


@contextmanager
def one_core() -> Iterator[None]:
    """This process and those it starts run on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _batch(send: Request) -> int:
    """Warm up; how many requests fit into a turn."""
    began = perf_counter()
    for _ in range(WARM_UP):
        send()
    took = (perf_counter() - began) / WARM_UP
    return max(1, min(200, int(BATCH_SECONDS / took)))


Costs = dict[tuple[str, str], list[float]]


def _costs(turns: list[_Turn], rounds: int) -> Costs:
    """Seconds per request over the bare application, of each round."""
    costs: Costs = defaultdict(list)
    for number in range(rounds):
        random.Random(number).shuffle(turns)
        for turn in turns:
            bare, full = _seconds(turn.bare, turn.times), _seconds(turn.send, turn.times)
            costs[turn.contender, turn.scenario].append((full - bare) / turn.times)
    return costs


def _seconds(send: Request, times: int) -> float:
    began = perf_counter()
    for _ in range(times):
        send()
    return perf_counter() - began


def _medians(costs: Costs) -> Figures:
    figures: Figures = defaultdict(dict)
    for (contender, scenario), seconds in costs.items():
        figures[contender][scenario] = round(median(seconds) * 1e6, 1)
    return figures


def _ratios(costs: Costs) -> Figures:
    """Of ours to all others, and to one ``redis.get()``; the median of the ratios in each round."""
    figures: Figures = defaultdict(dict)
    for (contender, scenario), seconds in costs.items():
        for (other, its), others in costs.items():
            comparable = its == scenario or (other, its) == GET
            if contender.startswith("ours") and other != contender and comparable:
                rounds = zip(seconds, others, strict=True)
                ratio = median(mine / max(theirs, 1e-9) for mine, theirs in rounds)
                figures[contender][f"{scenario}/{other}:{its}"] = round(ratio, 4)
    return figures


def show(figures: dict[str, Figures]) -> str:
    times = figures["microseconds"]
    columns = [name for name in SCENARIOS if any(name in row for row in times.values())]
    rows = [
        [name, *(f"{row[column]:,.1f}" if column in row else "" for column in columns)]
        for name, row in sorted(times.items())
    ]
    return table(["microseconds per request", *columns], rows)
