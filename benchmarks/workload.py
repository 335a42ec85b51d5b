"""What runs under callgrind: requests of several scenarios to one contender.

``python -m benchmarks.workload NAME PLACES COUNT SCENARIO…``. What is counted is labelled with the
scenario and the number of requests; ``bare`` is the application without sessions.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from benchmarks.callgrind import mark
from benchmarks.contenders import CONTENDERS
from tests.support.repeated_request import Client, Request
from tests.support.scenarios import SCENARIOS

Result = TypeVar("Result")

WARM_UP = 20
"""Requests until the interpreter has specialised its bytecode."""


def main(name: str, places: str, count: str, *scenarios: str) -> None:
    pair = CONTENDERS[name].make(json.loads(places))
    _count("bare", Client(pair.bare).request("untouched"), int(count))
    client = Client(pair.application)
    for scenario in scenarios:
        times = int(count) // 10 if SCENARIOS[scenario].is_large else int(count)
        _count(scenario, patiently(partial(client.request, scenario)), max(times, 2))


def patiently(make: Callable[[], Result]) -> Result:
    """Callgrind is fifty times slower: what is done once, at the first requests, may take longer
    than a store's time limit allows."""
    for _ in range(20):
        try:
            return make()
        except RuntimeError:
            continue
    return make()


def _count(label: str, send: Request, times: int) -> None:
    for _ in range(WARM_UP):
        patiently(send)
    gc.collect()
    gc.freeze()
    rounds = range(times)
    print("-", flush=True)
    mark()
    for _ in rounds:
        send()
    mark()
    print(label, times, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
