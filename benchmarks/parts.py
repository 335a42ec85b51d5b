"""The parts of the benchmark, and how much of each is measured: everything, or *quick*."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from benchmarks import crowd, footprint, instructions, purge, served, sizes, timing
from benchmarks.contenders import CONTENDERS
from tests.support.scenarios import SCENARIOS

QUICK = ["ours-memory", "ours-redis", "floor-redis", "flask-session-redis"]
QUICK_SCENARIOS = ["untouched", "read"]


class Part(NamedTuple):
    measure: Callable[[bool, Iterable[str], Iterable[str]], Any]
    """Of whether it is to be quick, the contenders, and the scenarios."""
    show: Callable[[Any], str]


def _instructions(quick: bool, names: Iterable[str], scenarios: Iterable[str]) -> Any:
    if quick:  # without Flask, which takes longest to start under callgrind
        return instructions.measure(QUICK[:3], scenarios, 20)
    return instructions.measure(names, scenarios, 200)


def _timing(quick: bool, names: Iterable[str], scenarios: Iterable[str]) -> Any:
    return timing.measure(names, scenarios, 2 if quick else 60)


def _served(quick: bool, *_: Any) -> Any:
    if quick:
        return served.measure(["gthread"], served.PLAIN[:2], [], rounds=1, seconds=1)
    return served.measure(served.WORKERS, served.PLAIN, served.FLASK, rounds=9, seconds=2)


def _sizes(quick: bool, *_: Any) -> Any:
    return sizes.measure(5, (1, 16)) if quick else sizes.measure(300)


def _crowd(quick: bool, *_: Any) -> Any:
    return crowd.measure((100, 1000), 100) if quick else crowd.measure(crowd.STORED, 3000)


def _purge(quick: bool, *_: Any) -> Any:
    return purge.measure(2000, 100) if quick else purge.measure(1_000_000, 5000)


def _footprint(quick: bool, *_: Any) -> Any:
    return footprint.measure(500, 100) if quick else footprint.measure(200_000, 10_000)


PARTS = {
    "instructions": Part(_instructions, instructions.show),
    "timing": Part(_timing, timing.show),
    "served": Part(_served, served.show),
    "sizes": Part(_sizes, sizes.show),
    "crowd": Part(_crowd, crowd.show),
    "purge": Part(_purge, purge.show),
    "footprint": Part(_footprint, footprint.show),
}

ALL = list(CONTENDERS), list(SCENARIOS)
"""What is measured unless something else is asked for."""


def check(figures: Any) -> None:
    """Raises ``AssertionError`` unless *figures* has something in it, and all of it is numbers."""
    if isinstance(figures, dict):
        assert figures, "a part has measured nothing"
        for figure in figures.values():
            check(figure)
    else:
        assert isinstance(figures, (int, float)), f"{figures!r} is no figure"
        assert math.isfinite(figures), "a figure is not finite"
