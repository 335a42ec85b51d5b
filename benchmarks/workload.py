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
from tests.support.repeated_request import Client, Request, tampered
from tests.support.scenarios import SCENARIOS

Result = TypeVar("Result")

NEW_TO_THE_WORKER = {"first": "read", "forged-first": "forged"}
"""What is counted, and of which scenario it is the first time."""
WARM_UP = 20
"""Requests until the interpreter has specialised its bytecode."""


def main(name: str, places: str, count: str, *scenarios: str) -> None:
    make = partial(CONTENDERS[name].make, json.loads(places))
    pair = make()
    _count("bare", Client(pair.bare).request("untouched"), int(count))
    client = Client(pair.application)
    for scenario in scenarios:
        if scenario in NEW_TO_THE_WORKER:
            worker = Client(make().application)
            send = _each_once(worker, client, int(count) + 2 * WARM_UP, NEW_TO_THE_WORKER[scenario])
            _count(scenario, send, int(count))
            continue
        times = int(count) // 10 if SCENARIOS[scenario].is_large else int(count)
        _count(scenario, patiently(partial(client.request, scenario)), max(times, 2))


def _each_once(worker: Client, other: Client, times: int, scenario: str) -> Request:
    """A function that sends *worker* a request with the cookie of a session that *other* has made,
    another one each time."""
    cookies = [patiently(partial(other.cookies, "/fill/small")) for _ in range(times)]
    if SCENARIOS[scenario].forged:
        cookies = [{name: tampered(value) for name, value in one.items()} for one in cookies]
    requests = iter([worker.sender(f"/{scenario}", one) for one in cookies])
    return lambda: next(requests)()


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
