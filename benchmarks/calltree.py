"""The tree of Python calls of one request, with the instructions of each call.

``python -m benchmarks tree NAME SCENARIO`` runs this under callgrind. First the calls are recorded;
then one function after the other is wrapped, so that each of its calls is counted with nothing else
in the way. What C code does counts for the Python function that called it.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from inspect import CO_GENERATOR
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

from benchmarks.callgrind import counted, mark
from benchmarks.client import Client, Request
from benchmarks.contenders import CONTENDERS, Places
from benchmarks.workload import WARM_UP, patiently

TREE = "tree "
NOTHING = -1
COUNT = 5  # requests


class Call(NamedTuple):
    """One call in the tree."""

    depth: int
    function: str
    instructions: float
    """Including what it calls; 0 if that could not be counted."""
    own: float
    """Not including Python functions that it calls."""


def tree(name: str, scenario: str, places: Places) -> list[Call]:
    """The calls of one request, in order, the application and its server included."""
    lines = counted("benchmarks.calltree", name, json.dumps(places), scenario)
    calls: list[tuple[int, str]] = json.loads(lines[-1][0].removeprefix(TREE))
    costs: dict[int, float] = defaultdict(float)
    for label, cost in lines[:-1]:
        for index in json.loads(label):
            costs[index] += cost / COUNT
    overhead = costs.pop(NOTHING)
    inclusive = {index: max(cost - overhead, 0) for index, cost in costs.items()}
    result = []
    for index, (depth, function) in enumerate(calls):
        below = _children(calls, index)
        own = inclusive.get(index, 0) - sum(inclusive.get(child, 0) for child in below)
        result.append(Call(depth, function, inclusive.get(index, 0), own))
    return result


def show(calls: list[Call]) -> str:
    """One line a call, and the ten functions that keep most for themselves."""
    lines = ["thousands of instructions: with what it calls, alone", ""]
    own: dict[str, float] = defaultdict(float)
    for call in calls:
        figures = f"{call.instructions / 1000:8.1f} {call.own / 1000:8.1f}"
        lines.append(f"{figures}  {'  ' * call.depth}{call.function}")
        own[call.function] += call.own
    most = sorted(own, key=own.__getitem__, reverse=True)[:10]
    return "\n".join([*lines, "", *(f"{own[name] / 1000:8.1f} {name}" for name in most)])


def _children(calls: list[tuple[int, str]], index: int) -> list[int]:
    depth, children = calls[index][0], []
    for child in range(index + 1, len(calls)):
        if calls[child][0] <= depth:
            break
        if calls[child][0] == depth + 1:
            children.append(child)
    return children


# What runs under callgrind


class _Meter:
    """Counts the calls of one function at a time: of all that share its code, as the methods of
    named tuples do."""

    def __init__(self) -> None:
        self.labels: list[list[int]] = []
        self._on = False
        self._next: list[int] = []
        self._open: list[int] = []

    def count(self, functions: list[FunctionType], indices: list[int], send: Request) -> None:
        """Count their calls in one request; *indices* are the places of those in the tree."""
        code = functions[0].__code__
        with ExitStack() as put_back:
            for function in functions:
                # Simpler than to find all places that refer to it: it gets other code, which finds
                # what to call in the defaults of its arguments.
                put_back.callback(setattr, function, "__kwdefaults__", function.__kwdefaults__)
                put_back.callback(setattr, function, "__code__", code)
                counted = self._counted(function)
                function.__code__ = _wrapper.__code__.replace(co_freevars=code.co_freevars)
                function.__kwdefaults__ = {"_counted": counted}
            for _ in range(WARM_UP):
                send()
            gc.collect()  # which empties the interpreter's free lists
            gc.disable()
            send()
            self._next, self._on = indices[::-1] * COUNT, True
            for _ in range(COUNT):
                send()
            self._on = False
            gc.enable()

    def _counted(self, function: FunctionType) -> Callable[..., Any]:
        original = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        original.__kwdefaults__ = function.__kwdefaults__
        calls, labels = self._open, self.labels

        def counted(*args: Any, **kwargs: Any) -> Any:
            if not self._on:
                return original(*args, **kwargs)
            labels.append(calls.copy())
            calls.append(self._next.pop())
            mark()
            try:
                return original(*args, **kwargs)
            finally:
                mark()
                labels.append(calls.copy())
                calls.pop()

        return counted


def _wrapper(*args: Any, _counted: Callable[..., Any], **kwargs: Any) -> Any:
    return _counted(*args, **kwargs)


def nothing() -> None:
    """What the marks themselves cost."""


def main(name: str, places: str, scenario: str) -> None:
    pair = CONTENDERS[name].make(json.loads(places))
    client = Client(pair.application)
    send = patiently(partial(client.request, scenario))
    for _ in range(WARM_UP):
        patiently(send)
    calls = _record(send)
    places_of: dict[CodeType, list[int]] = defaultdict(list)
    for index, (_, code) in enumerate(calls):
        places_of[code].append(index)
    functions = defaultdict(list)
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            functions[one.__code__].append(one)
    meter = _Meter()
    meter.count([nothing], [NOTHING], lambda: nothing())
    for code, indices in places_of.items():
        if functions[code] and not code.co_flags & CO_GENERATOR:
            meter.count(functions[code], indices, send)
    mark()
    for label in meter.labels:
        print(json.dumps(label))
    print(TREE + json.dumps([(depth, code.co_qualname) for depth, code in calls]))


def _record(send: Request) -> list[tuple[int, CodeType]]:
    calls: list[tuple[int, CodeType]] = []
    depth = 0

    def note(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal depth
        if event == "call":
            calls.append((depth, frame.f_code))
            depth += 1
        elif event == "return":
            depth -= 1

    sys.setprofile(note)
    try:
        send()
    finally:
        sys.setprofile(None)
    return [(depth - 1, code) for depth, code in calls[1:]]


if __name__ == "__main__":
    main(*sys.argv[1:])
